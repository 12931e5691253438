import{B as e,G as t,H as n,I as r,L as i,M as a,R as o,S as s,T as c,_ as l,b as u,f as d,h as f,j as p,l as m,m as h,p as g,q as _,w as v}from"./index-BUEWBGpa.js";import{_ as y,c as b,h as x,l as S,s as C}from"./decimal-ip3GwHqz.js";import{a as w,n as T,r as E,s as D,t as O}from"./Moment-Bg2Hkztc.js";import{t as k}from"./NoAnswer-DhuXidcU.js";var A={model:`model`,provider:`provider`,account:`account`,apiKey:`apiKey`,errorType:`type`,errorCode:`code`};function j(e,t){let n={occurredAt:{gte:t.from,lt:t.to}};for(let[t,r]of Object.entries(A)){let i=e.choices[t],[a,o]=[i?.is??[],i?.not??[]].map(e=>e.filter(e=>e!==``));(a?.length||o?.length)&&(n[r]={...a?.length&&{in:a},...o?.length&&{notIn:o}})}return n}function M(e){return[...Object.keys(e.choices),...Object.keys(e.tags).map(e=>`tag.${e}`),...Object.keys(e.bounds)].filter(e=>!(e in A))}var N=_(t(),1),P=c(`
  query GroupsOfErrors(
    $filter: ErrorFilter!
    $orderBy: ErrorGroupOrder
    $first: Int
    $after: String
    $bucket: TimeBucket
    $timeZone: TimeZone
    $sample: Boolean!
  ) {
    errorGroups(filter: $filter, orderBy: $orderBy, first: $first, after: $after, bucket: $bucket, timeZone: $timeZone) {
      nodes {
        fingerprint
        type
        count
        firstSeen
        lastSeen
        models
        buckets {
          start
          end
          count
        }
        sampleMessage @include(if: $sample)
      }
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`),F=c(`
  query CallsInAll($filter: CallFilter!) {
    costs(filter: $filter) {
      totals {
        calls
        errors
      }
    }
  }
`),I=c(`
  query ErrorsOfGroup($filter: ErrorFilter!, $message: Boolean!, $call: Boolean!) {
    errors(filter: $filter, first: 20) {
      nodes {
        id
        occurredAt
        code
        message @include(if: $message)
        disclosure
        redactions {
          rule
          count
        }
        call @include(if: $call) {
          id
          model
        }
      }
    }
  }
`),L=a({order:`Order`,orders:{COUNT:`Most often`,LAST_SEEN:`Last seen`,FIRST_SEEN:`New ones`},groups:e=>`${e} kinds of errors`,ofCalls:(e,t,n)=>`${e} of ${t} calls failed (${n})`,ignored:e=>`Errors are not chosen by ${e}: these filters hold for calls alone.`,none:`No errors in this time.`,noneWhy:`Their details may be gone already: calls know the types of their errors for longer, in the logs.`,noCalls:`No calls in this time.`,noCallsWhy:`Choose a longer time, or take a filter back.`,kinds:`Kinds of errors`,kind:`Error`,trend:`Trend`,trendOf:(e,t)=>`In ${e} parts of the time, at most ${t} in one`,count:`Errors`,share:`Of all calls`,models:`Models`,firstSeen:`First seen`,lastSeen:`Last seen`,first:`First page`,next:`Next page`,inLogs:`Its calls in the logs`,close:`Close this error`,inAll:(e,t)=>`${e} errors, of ${t}`,newest:`The newest of them`,time:`Time`,model:`Model`,code:`Code`,message:`Message`,masked:`Masked by`,disclosure:{CLEAR:`No message`,MASKED:`No message`,SEALED:`Sealed`,NOT_KEPT:`Not kept`,KEY_DESTROYED:`Past its window`,KEY_LOST:`Its key is lost`}},{order:`排序`,orders:{COUNT:`最频繁`,LAST_SEEN:`最近出现`,FIRST_SEEN:`新出现`},groups:e=>`${e} 类错误`,ofCalls:(e,t,n)=>`${t} 次调用中有 ${e} 次失败(${n})`,ignored:e=>`错误不支持按 ${e} 筛选:这些条件仅适用于调用。`,none:`此时间段内没有错误。`,noneWhy:`错误详情可能已超过保留期:调用日志会更久地保留错误类型。`,noCalls:`此时间段内没有调用。`,noCallsWhy:`请选择更长的时间,或移除筛选条件。`,kinds:`错误分类`,kind:`错误`,trend:`趋势`,trendOf:(e,t)=>`分布在 ${e} 个时间段,单段最多 ${t} 次`,count:`次数`,share:`占全部调用`,models:`模型`,firstSeen:`首次出现`,lastSeen:`最近出现`,first:`第一页`,next:`下一页`,inLogs:`在日志中查看调用`,close:`关闭此错误`,inAll:(e,t)=>`共 ${e} 次错误,模型:${t}`,newest:`最新的错误`,time:`时间`,model:`模型`,code:`代码`,message:`消息`,masked:`脱敏规则`,disclosure:{CLEAR:`没有消息`,MASKED:`没有消息`,SEALED:`已密封`,NOT_KEPT:`未保留`,KEY_DESTROYED:`已超过保留期`,KEY_LOST:`密钥已丢失`}}),R=v();function z({group:t,filter:r,close:a}){let c=p(L),d=n(),f=l(),m=(0,N.useRef)(null);(0,N.useEffect)(()=>m.current?.focus(),[t.fingerprint]),(0,N.useEffect)(()=>{let e=e=>e.key===`Escape`&&!e.defaultPrevented&&a();return document.addEventListener(`keydown`,e),()=>document.removeEventListener(`keydown`,e)},[a]);let h=(0,N.useMemo)(()=>({...r,fingerprint:{eq:t.fingerprint}}),[r,t.fingerprint]),{data:_,problem:v,again:y}=E(I,{filter:h,message:f.view(`CallError.message`)!==`DENIED`,call:f.view(`CallError.call`)!==`DENIED`}),b=o(`logs`,i(d,{error:null,order:null,after:null,status:`FAILED`,errorType:t.type,model:[...t.models]})),x=_?.errors?.nodes;return(0,R.jsxs)(`section`,{className:`error-detail`,children:[(0,R.jsxs)(`header`,{className:`errors-toolbar`,children:[(0,R.jsx)(`h2`,{ref:m,tabIndex:-1,children:t.type}),(0,R.jsx)(u,{text:t.fingerprint,shown:t.fingerprint.slice(0,12)}),(0,R.jsx)(e,{className:`button button-plain`,href:b,children:c.inLogs}),(0,R.jsx)(s,{kind:`quiet`,icon:`close`,"aria-label":c.close,onClick:a})]}),(0,R.jsx)(`p`,{className:`quiet`,children:c.inAll(w(t.count),t.models.join(`, `))}),v&&(0,R.jsx)(k,{problem:v,again:y}),!x&&!v&&(0,R.jsx)(g,{}),x&&(0,R.jsx)(T,{caption:c.newest,rows:x,keyOf:({id:e})=>e,columns:[{name:`at`,title:c.time,cell:({occurredAt:t,call:n})=>n?(0,R.jsx)(e,{href:o(`logs`,i(d,{error:null,order:null,after:null,call:n.id})),children:(0,R.jsx)(O,{at:t})}):(0,R.jsx)(O,{at:t})},{name:`model`,title:c.model,cell:({call:e})=>e?.model??`–`},{name:`code`,title:c.code,cell:({code:e})=>e??`–`},{name:`message`,title:c.message,cell:({message:e,disclosure:t})=>(0,R.jsx)(`span`,{className:`error-message`,children:e??c.disclosure[t]})},{name:`masked`,title:c.masked,cell:({redactions:e})=>e.map(({rule:e,count:t})=>`${e} × ${t}`).join(`, `)||`–`}]})]})}var B=120,V=24;function H({buckets:e,period:t}){let n=p(L),r=Date.parse(t.from),i=Math.max(1,Date.parse(t.to)-r),a=Math.max(1,...e.map(e=>Number(e.count))),o=e=>Math.min(1,Math.max(0,(Date.parse(e)-r)/i))*B;return(0,R.jsxs)(`svg`,{className:`trend`,viewBox:`0 0 ${B} ${V}`,width:B,height:V,role:`img`,"aria-label":n.trendOf(w(e.length),w(a)),children:[(0,R.jsx)(`line`,{x1:`0`,x2:B,y1:23.5,y2:23.5}),e.map(e=>{let t=Math.max(2,Number(e.count)/a*22),n=o(e.start);return(0,R.jsx)(`rect`,{x:n,y:V-t,width:Math.max(1.5,o(e.end)-n-.75),height:t},e.start)})]})}function U({groups:e,calls:t,period:n,open:r,show:i}){let a=p(L),o=e=>t===null?null:C(e,t);return(0,R.jsx)(T,{caption:a.kinds,rows:e,keyOf:({fingerprint:e})=>e,columns:[{name:`type`,title:a.kind,cell:({fingerprint:e,type:t,sampleMessage:n})=>(0,R.jsxs)(`span`,{className:`error-kind`,children:[(0,R.jsx)(`button`,{type:`button`,className:`linkish`,"aria-expanded":r===e,onClick:()=>i(r===e?null:e),children:t}),n!=null&&(0,R.jsx)(`span`,{className:`error-sample`,title:n,children:n})]})},{name:`trend`,title:a.trend,cell:({buckets:e})=>(0,R.jsx)(H,{buckets:e??[],period:n})},{name:`count`,title:a.count,figures:!0,cell:e=>w(e.count)},{name:`share`,title:a.share,figures:!0,cell:e=>{let t=o(e.count);return t===null?`–`:D(t)}},{name:`models`,title:a.models,cell:({models:e})=>(0,R.jsx)(`span`,{title:e.join(`, `),children:e.length>2?`${e.slice(0,2).join(`, `)} +${e.length-2}`:e.join(`, `)})},{name:`first`,title:a.firstSeen,cell:({firstSeen:e})=>(0,R.jsx)(O,{at:e})},{name:`last`,title:a.lastSeen,cell:({lastSeen:e})=>(0,R.jsx)(O,{at:e})}]})}var W=[`COUNT`,`LAST_SEEN`,`FIRST_SEEN`],G=50,K=864e5;function q(){let e=l(),t=m(),[n]=r(),{period:i}=f(),a=S(),o=W.find(e=>e===n.get(`order`))??`COUNT`,s=JSON.stringify(a.filter),c=(0,N.useMemo)(()=>j(JSON.parse(s),i),[s,i]),{data:u,problem:d,waiting:p,again:h}=E(P,{filter:c,orderBy:{field:o,direction:`DESC`},first:G,after:n.get(`after`),bucket:Date.parse(i.to)-Date.parse(i.from)<=4*K?`HOUR`:`DAY`,timeZone:t,sample:e.view(`ErrorGroup.sampleMessage`)!==`DENIED`}),g=E(F,{filter:a.callFilter},{wanted:e.mayAsk(`costs`)}).data?.costs?.totals??[],_=b(g.map(e=>e.calls)),v=b(g.map(e=>e.errors));return{filtered:a,errorFilter:c,order:o,page:u?.errorGroups,problem:d,waiting:p,again:h,calls:_,failed:v,share:C(v,_)}}function J(){let e=p(L),t=y(),[,n]=r(),i=q(),{filter:a,choose:o,bound:s}=i.filtered,c=M(a);return(0,R.jsxs)(`div`,{className:`page-body errors`,children:[(0,R.jsxs)(`div`,{className:`errors-toolbar`,children:[(0,R.jsx)(d,{label:e.order,options:W.map(t=>({value:t,text:e.orders[t]})),value:i.order,change:e=>n({order:e,after:null})}),(0,R.jsx)(Y,{errors:i})]}),(0,R.jsx)(x,{filter:a,choose:o,bound:s}),c.length>0&&(0,R.jsx)(`p`,{className:`quiet`,children:e.ignored(c.map(t.name).join(`, `))}),i.problem?(0,R.jsx)(k,{problem:i.problem,again:i.again}):(0,R.jsx)(X,{errors:i})]})}function Y({errors:{page:e,calls:t,failed:n,share:r}}){let i=p(L);return e?(0,R.jsxs)(`p`,{className:`quiet`,children:[i.groups(w(e.totalCount)),r!==null&&` · ${i.ofCalls(w(n),w(t),D(r))}`]}):null}function X({errors:e}){let t=p(L),[n,i]=r(),{period:a}=f(),{page:o,calls:c,waiting:l}=e,u=o?.nodes.find(e=>e.fingerprint===n.get(`error`));return o?o.nodes.length===0?(0,R.jsx)(h,{title:c===`0`?t.noCalls:t.none,children:(0,R.jsx)(`p`,{children:c===`0`?t.noCallsWhy:t.noneWhy})}):(0,R.jsxs)(R.Fragment,{children:[u&&(0,R.jsx)(z,{group:u,filter:e.errorFilter,close:()=>i({error:null})}),(0,R.jsx)(`div`,{"aria-busy":l,children:(0,R.jsx)(U,{groups:o.nodes,calls:e.share===null?null:c,period:a,open:u?.fingerprint??null,show:e=>i({error:e})})}),(0,R.jsxs)(`div`,{className:`errors-toolbar`,children:[n.has(`after`)&&(0,R.jsx)(s,{icon:`left`,onClick:()=>i({after:null}),children:t.first}),o.pageInfo.hasNextPage&&(0,R.jsx)(s,{icon:`right`,onClick:()=>i({after:o.pageInfo.endCursor??null}),children:t.next})]})]}):(0,R.jsx)(g,{lines:8})}export{J as default};