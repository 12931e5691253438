import{J as e,K as t,U as n,V as r,X as i,a,l as o,n as s,nt as c,q as l,s as u,t as d}from"./Empty-BfgApZrn.js";import{a as f,p}from"./useFacets-lnNUiX4F.js";import{t as m}from"./FilterBar-Dk29U5qP.js";import{a as h,n as g,r as _,s as v,t as y}from"./Moment-CML5bCIn.js";import{n as b,t as x}from"./Nothing-qHNNISgA.js";import{c as S,o as C,s as w,t as T}from"./index-CkhWhEJl.js";import{t as E}from"./NoAnswer-eAnr6-3V.js";import{n as D,t as ee}from"./Pager-gJRbhRL-.js";import{n as O}from"./RangeContext-CAghGEn1.js";import{n as k,t as A}from"./errorFilter-NXt2vHs-.js";import{f as j,h as M,l as N,t as P,u as F,v as I}from"./zone-DXQPei4g.js";import{c as L,l as R}from"./decimal-DqOftDZW.js";var z=I(M(),1),B=s(`
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
`),V=s(`
  query CallsInAll($filter: CallFilter!) {
    costs(filter: $filter) {
      totals {
        calls
        errors
      }
    }
  }
`),H=s(`
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
`),U=n({order:`Order`,orders:{COUNT:`Most often`,LAST_SEEN:`Last seen`,FIRST_SEEN:`New ones`},groups:e=>e===`1`?`1 kind of error`:`${e} kinds of errors`,ofCalls:(e,t,n)=>`${e} of ${t===`1`?`1 call`:`${t} calls`} failed (${n})`,ignored:e=>`Errors are not chosen by ${e}: these filters hold for calls alone.`,none:`No errors in this time`,noneWhy:e=>e===`1`?`The only call did not fail.`:`None of ${e} calls failed.`,noDetails:`No details of errors in this time`,noDetailsWhy:e=>`${e===`1`?`1 call`:`${e} calls`} failed. Details are kept for a shorter time than calls, and some failures are reported without any; the logs have the calls.`,kinds:`Kinds of errors`,kind:`Error`,trend:`Trend`,trendTable:`Trend as a table`,trendOf:(e,t)=>`In ${e} parts of the time, at most ${t} in one`,count:`Errors`,share:`Of all calls`,models:`Models`,firstSeen:`First seen`,lastSeen:`Last seen`,inLogs:`Its calls in the logs`,close:`Close this error`,inAll:(e,t)=>`${e===`1`?`1 error`:`${e} errors`}, of ${t}`,newest:`The newest of them`,time:`Time`,model:`Model`,code:`Code`,message:`Message`,masked:`Masked by`,disclosure:{CLEAR:`No message`,MASKED:`No message`,SEALED:`Sealed`,NOT_KEPT:`Not kept`,KEY_DESTROYED:`Past its window`,KEY_LOST:`Its key is lost`}},{order:`排序`,orders:{COUNT:`最频繁`,LAST_SEEN:`最近出现`,FIRST_SEEN:`新出现`},groups:e=>`${e} 类错误`,ofCalls:(e,t,n)=>`${t} 次调用中有 ${e} 次失败（${n}）`,ignored:e=>`错误不支持按 ${e} 筛选：这些条件仅适用于调用。`,none:`此时间段内没有错误`,noneWhy:e=>`${e} 次调用均未失败。`,noDetails:`此时间段内没有错误详情`,noDetailsWhy:e=>`有 ${e} 次调用失败。错误详情的保留期短于调用，有些失败上报时也没有详情；可在日志中查看这些调用。`,kinds:`错误分类`,kind:`错误`,trend:`趋势`,trendTable:`趋势表格`,trendOf:(e,t)=>`分布在 ${e} 个时间段，单段最多 ${t} 次`,count:`次数`,share:`占全部调用`,models:`模型`,firstSeen:`首次出现`,lastSeen:`最近出现`,inLogs:`在日志中查看调用`,close:`关闭此错误`,inAll:(e,t)=>`共 ${e} 次错误，模型：${t}`,newest:`最新的错误`,time:`时间`,model:`模型`,code:`代码`,message:`消息`,masked:`脱敏规则`,disclosure:{CLEAR:`没有消息`,MASKED:`没有消息`,SEALED:`已密封`,NOT_KEPT:`未保留`,KEY_DESTROYED:`已超过保留期`,KEY_LOST:`密钥已丢失`}}),W=j();function G({group:t,filter:n,close:s}){let d=r(U),f=c(),p=S(),m=(0,z.useRef)(null);(0,z.useEffect)(()=>m.current?.focus(),[t.fingerprint]),(0,z.useEffect)(()=>{let e=e=>e.key===`Escape`&&!e.defaultPrevented&&!T(e.target)&&s();return document.addEventListener(`keydown`,e),()=>document.removeEventListener(`keydown`,e)},[s]);let v=(0,z.useMemo)(()=>({...n,fingerprint:{eq:t.fingerprint}}),[n,t.fingerprint]),{data:b,problem:x,again:C}=_(H,{filter:v,message:p.view(`CallError.message`)!==`DENIED`,call:p.view(`CallError.call`)!==`DENIED`}),w=e(`logs`,l(f,{error:null,order:null,status:`FAILED`,errorType:t.type,model:[...t.models]})),D=b?.errors?.nodes;return(0,W.jsxs)(`section`,{className:`error-detail`,children:[(0,W.jsxs)(`header`,{className:`errors-toolbar`,children:[(0,W.jsx)(`h2`,{ref:m,tabIndex:-1,children:t.type}),(0,W.jsx)(u,{text:t.fingerprint,shown:t.fingerprint.slice(0,12)}),(0,W.jsx)(i,{className:`button button-plain`,href:w,children:d.inLogs}),(0,W.jsx)(K,{group:t}),(0,W.jsx)(o,{kind:`quiet`,icon:`close`,"aria-label":d.close,onClick:s})]}),(0,W.jsx)(`p`,{className:`quiet`,children:d.inAll(h(t.count),t.models.join(`, `))}),x&&(0,W.jsx)(E,{problem:x,again:C}),!D&&!x&&(0,W.jsx)(a,{}),D&&(0,W.jsx)(g,{caption:d.newest,rows:D,keyOf:({id:e})=>e,columns:[{name:`at`,title:d.time,cell:({occurredAt:t,call:n})=>n?(0,W.jsx)(i,{href:e(`logs`,l(f,{error:null,order:null,call:n.id})),children:(0,W.jsx)(y,{at:t})}):(0,W.jsx)(y,{at:t})},{name:`model`,title:d.model,cell:({call:e})=>e?.model??`–`},{name:`code`,title:d.code,cell:({code:e})=>e??`–`},{name:`message`,wide:!0,title:d.message,cell:({message:e,disclosure:t})=>(0,W.jsx)(`span`,{className:`error-message`,children:e??d.disclosure[t]})},{name:`masked`,wide:!0,title:d.masked,cell:({redactions:e})=>(0,W.jsx)(`span`,{className:`error-rules`,children:e.map(({rule:e,count:t})=>`${e} × ${t}`).join(`, `)||`–`})}]})]})}function K({group:e}){let t=r(U),n=N(),i=e.buckets??[];return i.length===0?null:(0,W.jsx)(C,{label:t.trend,text:t.trendTable,children:(0,W.jsx)(g,{caption:t.trend,rows:i,keyOf:({start:e})=>e,columns:[{name:`from`,title:t.time,cell:({start:e})=>P(e,n)},{name:`count`,title:t.count,figures:!0,cell:e=>h(e.count)}]})})}var q=120,J=24;function Y({buckets:e,period:t}){let n=r(U),i=Date.parse(t.from),a=Math.max(1,Date.parse(t.to)-i),o=Math.max(1,...e.map(e=>Number(e.count))),s=e=>Math.min(1,Math.max(0,(Date.parse(e)-i)/a))*q;return(0,W.jsxs)(`svg`,{className:`trend`,viewBox:`0 0 ${q} ${J}`,width:q,height:J,role:`img`,"aria-label":n.trendOf(h(e.length),h(o)),children:[(0,W.jsx)(`line`,{x1:`0`,x2:q,y1:23.5,y2:23.5}),e.map(e=>{let t=Math.max(2,Number(e.count)/o*22),n=s(e.start);return(0,W.jsx)(`rect`,{x:n,y:J-t,width:Math.max(1.5,s(e.end)-n-.75),height:t},e.start)})]})}function X({groups:e,calls:t,period:n,open:i,show:a}){let o=r(U),s=e=>t===null?null:L(e,t);return(0,W.jsx)(g,{caption:o.kinds,rows:e,keyOf:({fingerprint:e})=>e,columns:[{name:`type`,wide:!0,title:o.kind,cell:({fingerprint:e,type:t,sampleMessage:n})=>(0,W.jsxs)(`span`,{className:`error-kind`,children:[(0,W.jsx)(`button`,{type:`button`,className:`linkish`,title:t,"aria-expanded":i===e,onClick:()=>a(i===e?null:e),children:t}),n!=null&&(0,W.jsx)(`span`,{className:`error-sample`,title:n,children:n})]})},{name:`trend`,title:o.trend,cell:({buckets:e})=>(0,W.jsx)(Y,{buckets:e??[],period:n})},{name:`count`,title:o.count,figures:!0,cell:e=>h(e.count)},{name:`share`,title:o.share,figures:!0,cell:e=>{let t=s(e.count);return t===null?`–`:v(t)}},{name:`models`,title:o.models,cell:({models:e})=>(0,W.jsx)(`span`,{title:e.join(`, `),children:e.length>2?`${e.slice(0,2).join(`, `)} +${e.length-2}`:e.join(`, `)})},{name:`first`,title:o.firstSeen,cell:({firstSeen:e})=>(0,W.jsx)(y,{text:F,at:e})},{name:`last`,title:o.lastSeen,cell:({lastSeen:e})=>(0,W.jsx)(y,{text:F,at:e})}]})}var Z=[`COUNT`,`LAST_SEEN`,`FIRST_SEEN`],Q=50,te=864e5;function ne(){let e=S(),n=N(),[r]=t(),{period:i}=O(),a=f(),o=Z.find(e=>e===r.get(`order`))??`COUNT`,s=JSON.stringify(a.filter),c=(0,z.useMemo)(()=>A(JSON.parse(s),i),[s,i]),l=D(JSON.stringify([c,o])),u={filter:c,orderBy:{field:o,direction:`DESC`},bucket:Date.parse(i.to)-Date.parse(i.from)<=4*te?`HOUR`:`DAY`,timeZone:n,sample:e.view(`ErrorGroup.sampleMessage`)!==`DENIED`},{data:d,problem:p,waiting:m,again:h}=_(B,{...u,first:Q,after:l.after}),g=$(u,d?.errorGroups?.nodes),v=_(V,{filter:a.callFilter},{wanted:e.mayAsk(`costs`)}),y=v.data?.costs?.totals,b=y===void 0?null:R(y.map(e=>e.calls)),x=y===void 0?null:R(y.map(e=>e.errors)),C=b===null||x===null?null:L(x,b);return{filtered:a,errorFilter:c,order:o,pages:l,open:g,page:d?.errorGroups,problem:p,waiting:m||v.waiting,again:h,inAll:{calls:b,failed:x,share:C,refusal:v.problem}}}function $(e,n){let[r]=t(),i=r.get(`error`),a=e=>e.fingerprint===i,o=n?.find(a),{data:s}=_(B,{...e,filter:{...e.filter,fingerprint:{eq:i??``}},first:1},{wanted:i!==null&&n!==void 0&&o===void 0});return o??s?.errorGroups?.nodes.find(a)}function re(){let e=r(U),n=p(),[,i]=t(),a=ne(),o=k(a.filtered.filter);return(0,W.jsxs)(`div`,{className:`page-body errors`,children:[(0,W.jsx)(m,{}),(0,W.jsxs)(`div`,{className:`errors-toolbar`,children:[(0,W.jsx)(w,{label:e.order,options:Z.map(t=>({value:t,text:e.orders[t]})),value:a.order,change:e=>i({order:e})}),(0,W.jsx)(ie,{errors:a})]}),o.length>0&&(0,W.jsx)(`p`,{className:`quiet`,children:e.ignored(o.map(n.name).join(`, `))}),a.problem?(0,W.jsx)(E,{problem:a.problem,again:a.again}):(0,W.jsx)(ae,{errors:a})]})}function ie({errors:{page:e,inAll:t}}){let n=r(U);if(!e)return null;let{calls:i,failed:a,share:o}=t;return(0,W.jsxs)(`p`,{className:`quiet`,children:[n.groups(h(e.totalCount)),i!==null&&a!==null&&o!==null&&` · ${n.ofCalls(h(a),h(i),v(o))}`]})}function ae({errors:e}){let[,n]=t(),{period:r}=O(),{page:i,open:o,inAll:s,pages:c,waiting:l}=e;return i?i.nodes.length===0?(0,W.jsx)(oe,{errors:e}):(0,W.jsxs)(W.Fragment,{children:[o&&(0,W.jsx)(G,{group:o,filter:e.errorFilter,close:()=>n({error:null})}),(0,W.jsx)(`div`,{"aria-busy":l,children:(0,W.jsx)(X,{groups:i.nodes,calls:s.calls,period:r,open:o?.fingerprint??null,show:e=>n({error:e})})}),(0,W.jsx)(ee,{pages:c,pageInfo:i.pageInfo})]}):(0,W.jsx)(a,{lines:8})}function oe({errors:{inAll:t,waiting:n,filtered:o}}){let s=r(U),u=c(),{calls:f,failed:p,refusal:m}=t,{filter:g,callFilter:_,clear:v}=o;return n?(0,W.jsx)(a,{lines:8}):p!==null&&p!==`0`?(0,W.jsxs)(d,{title:s.noDetails,children:[(0,W.jsx)(`p`,{children:s.noDetailsWhy(h(p))}),(0,W.jsx)(`p`,{className:`empty-actions`,children:(0,W.jsx)(i,{className:`button button-plain`,href:e(`logs`,l(u,{error:null,order:null,status:`FAILED`})),children:s.inLogs})})]}):f!==null&&f!==`0`?(0,W.jsx)(x,{title:s.none,why:s.noneWhy(h(f)),filter:g,clear:v}):(0,W.jsx)(b,{filter:g,callFilter:_,refusal:m,clear:v,...f===null&&{noMatch:s.none}})}export{re as default};