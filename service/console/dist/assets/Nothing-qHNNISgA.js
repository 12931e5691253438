import{o as e}from"./useFacets-lnNUiX4F.js";import{U as t,V as n,a as r,l as i,n as a,t as o}from"./Empty-BfgApZrn.js";import{n as s}from"./RangeContext-CAghGEn1.js";import{r as c}from"./Moment-CML5bCIn.js";import{c as l}from"./index-CkhWhEJl.js";import{f as u}from"./zone-DXQPei4g.js";var d=a(`
  query WhyNone($filter: CallFilter, $facets: Boolean!, $windows: Boolean!) {
    calls(first: 1) {
      nodes {
        id
      }
    }
    facets(filter: $filter, first: 1) @include(if: $facets) {
      statuses {
        value
      }
    }
    policy @include(if: $windows) {
      windows {
        store
        windowDays
      }
    }
  }
`),f=864e5;function p(e,t){let n=l(),r=t?.code===`OUT_OF_RETENTION`?t:null,i=n.mayAsk(`costs`),a=!i&&n.mayAsk(`facets`),o=!i&&!a&&n.mayAsk(`policy`),{data:s,problem:u,waiting:f}=c(d,{filter:e,facets:a,windows:o},{wanted:r===null});return r===null?u?.code===`OUT_OF_RETENTION`?{why:`outOfRetention`,message:u.message}:f||s===void 0?{why:`waiting`}:s.calls?.nodes.length===0?{why:`noData`}:s.policy!=null&&m(s.policy,e)?{why:`outOfRetention`,message:``}:{why:`noMatch`}:{why:`outOfRetention`,message:r.message}}function m({windows:e},{startedAt:t}){let n=Math.max(...e.filter(({store:e})=>e===`CALL`).map(({windowDays:e})=>e));return t?.gte!=null&&Date.parse(t.gte)<Date.now()-n*f}var h=t({noMatch:`No call matches`,noMatchWhy:`Widen the time, or take filters back.`,noData:`No call has been recorded yet`,noDataWhy:`Report calls by POST to /v1/calls, or let LiteLLM's generic_api callback report to /v1/litellm.`,outOfRetention:`This time is past what is kept`,outOfRetentionWhy:`Calls are forgotten when their window ends, and nothing brings them back. Choose a later time.`,lastWeek:`Last 7 days`,clearFilters:`Clear the filters`},{noMatch:`没有匹配的调用`,noMatchWhy:`请扩大时间范围，或移除部分筛选条件。`,noData:`还没有记录任何调用`,noDataWhy:`通过 POST /v1/calls 上报调用，或让 LiteLLM 的 generic_api 回调上报到 /v1/litellm。`,outOfRetention:`此时间已超出保留期限`,outOfRetentionWhy:`调用在保留期结束后即被遗忘，且无法恢复。请选择更晚的时间。`,lastWeek:`最近 7 天`,clearFilters:`清除筛选`}),g=u();function _({filter:e,callFilter:t,refusal:i,clear:a,noMatch:s}){let c=n(h),l=p(t,i);switch(l.why){case`waiting`:return(0,g.jsx)(r,{lines:3});case`noData`:return(0,g.jsx)(o,{title:c.noData,children:(0,g.jsx)(`p`,{children:c.noDataWhy})});case`outOfRetention`:return(0,g.jsx)(v,{title:c.outOfRetention,why:`${c.outOfRetentionWhy} ${l.message}`,filter:e,clear:a});case`noMatch`:return(0,g.jsx)(v,{title:s??c.noMatch,why:c.noMatchWhy,filter:e,clear:a})}}function v({title:t,why:r,filter:a,clear:c}){let l=n(h),{change:u}=s();return(0,g.jsxs)(o,{title:t,children:[(0,g.jsx)(`p`,{children:r}),(0,g.jsxs)(`p`,{className:`empty-actions`,children:[(0,g.jsx)(i,{onClick:()=>u({kind:`relative`,last:`7d`}),children:l.lastWeek}),!e(a)&&(0,g.jsx)(i,{onClick:c,children:l.clearFilters})]})]})}export{_ as n,v as t};