import{A as e,E as t,M as n,O as r,P as i,T as a,_ as o,c as s,f as c,h as l,k as u,l as d,s as f,u as p,y as m}from"./index-BNrhFSbW.js";import{l as h,s as g,t as _}from"./useFilter-BnQlN5Af.js";import{a as v,n as y,r as b,s as x,t as S}from"./Moment-CeHK7qrJ.js";import{l as C,n as w,t as T,u as E}from"./Nothing-DuFbvnlS.js";import{t as D}from"./NoAnswer-CbmLt-VX.js";import{n as O,t as k}from"./Pager-lC6FjMQn.js";import{n as A,t as j}from"./errorFilter-CNbYGkOP.js";import{_ as M,c as N,d as P,l as F,m as I}from"./zone-BdkYMsVa.js";var L=M(I(),1),R=m(`
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
`),z=m(`
  query CallsInAll($filter: CallFilter!) {
    costs(filter: $filter) {
      totals {
        calls
        errors
      }
    }
  }
`),B=m(`
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
`),V=t({order:`Order`,orders:{COUNT:`Most often`,LAST_SEEN:`Last seen`,FIRST_SEEN:`New ones`},groups:e=>`${e} kinds of errors`,ofCalls:(e,t,n)=>`${e} of ${t} calls failed (${n})`,ignored:e=>`Errors are not chosen by ${e}: these filters hold for calls alone.`,none:`No errors in this time`,noneWhy:e=>`None of ${e} calls failed.`,noDetails:`No details of errors in this time`,noDetailsWhy:e=>`${e} calls failed. Details are kept for a shorter time than calls, and some failures are reported without any; the logs have the calls.`,kinds:`Kinds of errors`,kind:`Error`,trend:`Trend`,trendOf:(e,t)=>`In ${e} parts of the time, at most ${t} in one`,count:`Errors`,share:`Of all calls`,models:`Models`,firstSeen:`First seen`,lastSeen:`Last seen`,inLogs:`Its calls in the logs`,close:`Close this error`,inAll:(e,t)=>`${e} errors, of ${t}`,newest:`The newest of them`,time:`Time`,model:`Model`,code:`Code`,message:`Message`,masked:`Masked by`,disclosure:{CLEAR:`No message`,MASKED:`No message`,SEALED:`Sealed`,NOT_KEPT:`Not kept`,KEY_DESTROYED:`Past its window`,KEY_LOST:`Its key is lost`}},{order:`排序`,orders:{COUNT:`最频繁`,LAST_SEEN:`最近出现`,FIRST_SEEN:`新出现`},groups:e=>`${e} 类错误`,ofCalls:(e,t,n)=>`${t} 次调用中有 ${e} 次失败（${n}）`,ignored:e=>`错误不支持按 ${e} 筛选：这些条件仅适用于调用。`,none:`此时间段内没有错误`,noneWhy:e=>`${e} 次调用均未失败。`,noDetails:`此时间段内没有错误详情`,noDetailsWhy:e=>`有 ${e} 次调用失败。错误详情的保留期短于调用，有些失败上报时也没有详情；可在日志中查看这些调用。`,kinds:`错误分类`,kind:`错误`,trend:`趋势`,trendOf:(e,t)=>`分布在 ${e} 个时间段，单段最多 ${t} 次`,count:`次数`,share:`占全部调用`,models:`模型`,firstSeen:`首次出现`,lastSeen:`最近出现`,inLogs:`在日志中查看调用`,close:`关闭此错误`,inAll:(e,t)=>`共 ${e} 次错误，模型：${t}`,newest:`最新的错误`,time:`时间`,model:`模型`,code:`代码`,message:`消息`,masked:`脱敏规则`,disclosure:{CLEAR:`没有消息`,MASKED:`没有消息`,SEALED:`已密封`,NOT_KEPT:`未保留`,KEY_DESTROYED:`已超过保留期`,KEY_LOST:`密钥已丢失`}}),H=P();function U({group:t,filter:r,close:d}){let f=a(V),p=i(),m=c(),h=(0,L.useRef)(null);(0,L.useEffect)(()=>h.current?.focus(),[t.fingerprint]),(0,L.useEffect)(()=>{let e=e=>e.key===`Escape`&&!e.defaultPrevented&&d();return document.addEventListener(`keydown`,e),()=>document.removeEventListener(`keydown`,e)},[d]);let g=(0,L.useMemo)(()=>({...r,fingerprint:{eq:t.fingerprint}}),[r,t.fingerprint]),{data:_,problem:x,again:C}=b(B,{filter:g,message:m.view(`CallError.message`)!==`DENIED`,call:m.view(`CallError.call`)!==`DENIED`}),w=e(`logs`,u(p,{error:null,order:null,status:`FAILED`,errorType:t.type,model:[...t.models]})),T=_?.errors?.nodes;return(0,H.jsxs)(`section`,{className:`error-detail`,children:[(0,H.jsxs)(`header`,{className:`errors-toolbar`,children:[(0,H.jsx)(`h2`,{ref:h,tabIndex:-1,children:t.type}),(0,H.jsx)(l,{text:t.fingerprint,shown:t.fingerprint.slice(0,12)}),(0,H.jsx)(n,{className:`button button-plain`,href:w,children:f.inLogs}),(0,H.jsx)(o,{kind:`quiet`,icon:`close`,"aria-label":f.close,onClick:d})]}),(0,H.jsx)(`p`,{className:`quiet`,children:f.inAll(v(t.count),t.models.join(`, `))}),x&&(0,H.jsx)(D,{problem:x,again:C}),!T&&!x&&(0,H.jsx)(s,{}),T&&(0,H.jsx)(y,{caption:f.newest,rows:T,keyOf:({id:e})=>e,columns:[{name:`at`,title:f.time,cell:({occurredAt:t,call:r})=>r?(0,H.jsx)(n,{href:e(`logs`,u(p,{error:null,order:null,call:r.id})),children:(0,H.jsx)(S,{at:t})}):(0,H.jsx)(S,{at:t})},{name:`model`,title:f.model,cell:({call:e})=>e?.model??`–`},{name:`code`,title:f.code,cell:({code:e})=>e??`–`},{name:`message`,title:f.message,cell:({message:e,disclosure:t})=>(0,H.jsx)(`span`,{className:`error-message`,children:e??f.disclosure[t]})},{name:`masked`,title:f.masked,cell:({redactions:e})=>(0,H.jsx)(`span`,{className:`error-rules`,children:e.map(({rule:e,count:t})=>`${e} × ${t}`).join(`, `)||`–`})}]})]})}var W=120,G=24;function K({buckets:e,period:t}){let n=a(V),r=Date.parse(t.from),i=Math.max(1,Date.parse(t.to)-r),o=Math.max(1,...e.map(e=>Number(e.count))),s=e=>Math.min(1,Math.max(0,(Date.parse(e)-r)/i))*W;return(0,H.jsxs)(`svg`,{className:`trend`,viewBox:`0 0 ${W} ${G}`,width:W,height:G,role:`img`,"aria-label":n.trendOf(v(e.length),v(o)),children:[(0,H.jsx)(`line`,{x1:`0`,x2:W,y1:23.5,y2:23.5}),e.map(e=>{let t=Math.max(2,Number(e.count)/o*22),n=s(e.start);return(0,H.jsx)(`rect`,{x:n,y:G-t,width:Math.max(1.5,s(e.end)-n-.75),height:t},e.start)})]})}function q({groups:e,calls:t,period:n,open:r,show:i}){let o=a(V),s=e=>t===null?null:C(e,t);return(0,H.jsx)(y,{caption:o.kinds,rows:e,keyOf:({fingerprint:e})=>e,columns:[{name:`type`,title:o.kind,cell:({fingerprint:e,type:t,sampleMessage:n})=>(0,H.jsxs)(`span`,{className:`error-kind`,children:[(0,H.jsx)(`button`,{type:`button`,className:`linkish`,"aria-expanded":r===e,onClick:()=>i(r===e?null:e),children:t}),n!=null&&(0,H.jsx)(`span`,{className:`error-sample`,title:n,children:n})]})},{name:`trend`,title:o.trend,cell:({buckets:e})=>(0,H.jsx)(K,{buckets:e??[],period:n})},{name:`count`,title:o.count,figures:!0,cell:e=>v(e.count)},{name:`share`,title:o.share,figures:!0,cell:e=>{let t=s(e.count);return t===null?`–`:x(t)}},{name:`models`,title:o.models,cell:({models:e})=>(0,H.jsx)(`span`,{title:e.join(`, `),children:e.length>2?`${e.slice(0,2).join(`, `)} +${e.length-2}`:e.join(`, `)})},{name:`first`,title:o.firstSeen,cell:({firstSeen:e})=>(0,H.jsx)(S,{text:F,at:e})},{name:`last`,title:o.lastSeen,cell:({lastSeen:e})=>(0,H.jsx)(S,{text:F,at:e})}]})}var J=[`COUNT`,`LAST_SEEN`,`FIRST_SEEN`],Y=50,X=864e5;function Z(){let e=c(),t=N(),[n]=r(),{period:i}=p(),a=_(),o=J.find(e=>e===n.get(`order`))??`COUNT`,s=JSON.stringify(a.filter),l=(0,L.useMemo)(()=>j(JSON.parse(s),i),[s,i]),u=O(JSON.stringify([l,o])),d={filter:l,orderBy:{field:o,direction:`DESC`},bucket:Date.parse(i.to)-Date.parse(i.from)<=4*X?`HOUR`:`DAY`,timeZone:t,sample:e.view(`ErrorGroup.sampleMessage`)!==`DENIED`},{data:f,problem:m,waiting:h,again:g}=b(R,{...d,first:Y,after:u.after}),v=Q(d,f?.errorGroups?.nodes),y=b(z,{filter:a.callFilter},{wanted:e.mayAsk(`costs`)}),x=y.data?.costs?.totals,S=x===void 0?null:E(x.map(e=>e.calls)),w=x===void 0?null:E(x.map(e=>e.errors)),T=S===null||w===null?null:C(w,S);return{filtered:a,errorFilter:l,order:o,pages:u,open:v,page:f?.errorGroups,problem:m,waiting:h||y.waiting,again:g,inAll:{calls:S,failed:w,share:T,refusal:y.problem}}}function Q(e,t){let[n]=r(),i=n.get(`error`),a=e=>e.fingerprint===i,o=t?.find(a),{data:s}=b(R,{...e,filter:{...e.filter,fingerprint:{eq:i??``}},first:1},{wanted:i!==null&&t!==void 0&&o===void 0});return o??s?.errorGroups?.nodes.find(a)}function $(){let e=a(V),t=h(),[,n]=r(),i=Z(),{filter:o,choose:s,bound:c}=i.filtered,l=A(o);return(0,H.jsxs)(`div`,{className:`page-body errors`,children:[(0,H.jsxs)(`div`,{className:`errors-toolbar`,children:[(0,H.jsx)(f,{label:e.order,options:J.map(t=>({value:t,text:e.orders[t]})),value:i.order,change:e=>n({order:e})}),(0,H.jsx)(ee,{errors:i})]}),(0,H.jsx)(g,{filter:o,choose:s,bound:c}),l.length>0&&(0,H.jsx)(`p`,{className:`quiet`,children:e.ignored(l.map(t.name).join(`, `))}),i.problem?(0,H.jsx)(D,{problem:i.problem,again:i.again}):(0,H.jsx)(te,{errors:i})]})}function ee({errors:{page:e,inAll:t}}){let n=a(V);if(!e)return null;let{calls:r,failed:i,share:o}=t;return(0,H.jsxs)(`p`,{className:`quiet`,children:[n.groups(v(e.totalCount)),r!==null&&i!==null&&o!==null&&` · ${n.ofCalls(v(i),v(r),x(o))}`]})}function te({errors:e}){let[,t]=r(),{period:n}=p(),{page:i,open:a,inAll:o,pages:c,waiting:l}=e;return i?i.nodes.length===0?(0,H.jsx)(ne,{errors:e}):(0,H.jsxs)(H.Fragment,{children:[a&&(0,H.jsx)(U,{group:a,filter:e.errorFilter,close:()=>t({error:null})}),(0,H.jsx)(`div`,{"aria-busy":l,children:(0,H.jsx)(q,{groups:i.nodes,calls:o.calls,period:n,open:a?.fingerprint??null,show:e=>t({error:e})})}),(0,H.jsx)(k,{pages:c,pageInfo:i.pageInfo})]}):(0,H.jsx)(s,{lines:8})}function ne({errors:{inAll:t,waiting:r,filtered:o}}){let c=a(V),l=i(),{calls:f,failed:p,refusal:m}=t,{filter:h,callFilter:g,clear:_}=o;return r?(0,H.jsx)(s,{lines:8}):p!==null&&p!==`0`?(0,H.jsxs)(d,{title:c.noDetails,children:[(0,H.jsx)(`p`,{children:c.noDetailsWhy(v(p))}),(0,H.jsx)(`p`,{className:`empty-actions`,children:(0,H.jsx)(n,{className:`button button-plain`,href:e(`logs`,u(l,{error:null,order:null,status:`FAILED`})),children:c.inLogs})})]}):f!==null&&f!==`0`?(0,H.jsx)(T,{title:c.none,why:c.noneWhy(v(f)),filter:h,clear:_}):(0,H.jsx)(w,{filter:h,callFilter:g,refusal:m,clear:_,...f===null&&{noMatch:c.none}})}export{$ as default};