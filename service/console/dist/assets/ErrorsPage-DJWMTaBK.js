import{J as e,K as t,U as n,V as r,X as i,c as a,i as o,n as s,nt as c,o as l,q as u,t as d}from"./Waiting-BynpMIUj.js";import{l as f,s as p,t as m}from"./useFilter-CClZU-j-.js";import{a as h,n as g,r as _,s as v,t as y}from"./Moment-SVSzPNhc.js";import{n as b,t as x}from"./Nothing-B2LpId0O.js";import{c as S,s as C,u as w}from"./index-ZnQ93Gcg.js";import{t as T}from"./NoAnswer-C4jzMiMX.js";import{n as E,t as D}from"./Pager-B234D-sn.js";import{n as O,t as k}from"./errorFilter-CNbYGkOP.js";import{_ as A,c as j,d as M,l as N,m as P}from"./zone-BdkYMsVa.js";import{c as F,l as I}from"./decimal-DqOftDZW.js";var L=A(P(),1),R=a(`
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
`),z=a(`
  query CallsInAll($filter: CallFilter!) {
    costs(filter: $filter) {
      totals {
        calls
        errors
      }
    }
  }
`),B=a(`
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
`),V=n({order:`Order`,orders:{COUNT:`Most often`,LAST_SEEN:`Last seen`,FIRST_SEEN:`New ones`},groups:e=>e===`1`?`1 kind of error`:`${e} kinds of errors`,ofCalls:(e,t,n)=>`${e} of ${t} calls failed (${n})`,ignored:e=>`Errors are not chosen by ${e}: these filters hold for calls alone.`,none:`No errors in this time`,noneWhy:e=>`None of ${e} calls failed.`,noDetails:`No details of errors in this time`,noDetailsWhy:e=>`${e} calls failed. Details are kept for a shorter time than calls, and some failures are reported without any; the logs have the calls.`,kinds:`Kinds of errors`,kind:`Error`,trend:`Trend`,trendOf:(e,t)=>`In ${e} parts of the time, at most ${t} in one`,count:`Errors`,share:`Of all calls`,models:`Models`,firstSeen:`First seen`,lastSeen:`Last seen`,inLogs:`Its calls in the logs`,close:`Close this error`,inAll:(e,t)=>`${e} errors, of ${t}`,newest:`The newest of them`,time:`Time`,model:`Model`,code:`Code`,message:`Message`,masked:`Masked by`,disclosure:{CLEAR:`No message`,MASKED:`No message`,SEALED:`Sealed`,NOT_KEPT:`Not kept`,KEY_DESTROYED:`Past its window`,KEY_LOST:`Its key is lost`}},{order:`排序`,orders:{COUNT:`最频繁`,LAST_SEEN:`最近出现`,FIRST_SEEN:`新出现`},groups:e=>`${e} 类错误`,ofCalls:(e,t,n)=>`${t} 次调用中有 ${e} 次失败（${n}）`,ignored:e=>`错误不支持按 ${e} 筛选：这些条件仅适用于调用。`,none:`此时间段内没有错误`,noneWhy:e=>`${e} 次调用均未失败。`,noDetails:`此时间段内没有错误详情`,noDetailsWhy:e=>`有 ${e} 次调用失败。错误详情的保留期短于调用，有些失败上报时也没有详情；可在日志中查看这些调用。`,kinds:`错误分类`,kind:`错误`,trend:`趋势`,trendOf:(e,t)=>`分布在 ${e} 个时间段，单段最多 ${t} 次`,count:`次数`,share:`占全部调用`,models:`模型`,firstSeen:`首次出现`,lastSeen:`最近出现`,inLogs:`在日志中查看调用`,close:`关闭此错误`,inAll:(e,t)=>`共 ${e} 次错误，模型：${t}`,newest:`最新的错误`,time:`时间`,model:`模型`,code:`代码`,message:`消息`,masked:`脱敏规则`,disclosure:{CLEAR:`没有消息`,MASKED:`没有消息`,SEALED:`已密封`,NOT_KEPT:`未保留`,KEY_DESTROYED:`已超过保留期`,KEY_LOST:`密钥已丢失`}}),H=M();function U({group:t,filter:n,close:a}){let s=r(V),f=c(),p=w(),m=(0,L.useRef)(null);(0,L.useEffect)(()=>m.current?.focus(),[t.fingerprint]),(0,L.useEffect)(()=>{let e=e=>e.key===`Escape`&&!e.defaultPrevented&&a();return document.addEventListener(`keydown`,e),()=>document.removeEventListener(`keydown`,e)},[a]);let v=(0,L.useMemo)(()=>({...n,fingerprint:{eq:t.fingerprint}}),[n,t.fingerprint]),{data:b,problem:x,again:S}=_(B,{filter:v,message:p.view(`CallError.message`)!==`DENIED`,call:p.view(`CallError.call`)!==`DENIED`}),C=e(`logs`,u(f,{error:null,order:null,status:`FAILED`,errorType:t.type,model:[...t.models]})),E=b?.errors?.nodes;return(0,H.jsxs)(`section`,{className:`error-detail`,children:[(0,H.jsxs)(`header`,{className:`errors-toolbar`,children:[(0,H.jsx)(`h2`,{ref:m,tabIndex:-1,children:t.type}),(0,H.jsx)(o,{text:t.fingerprint,shown:t.fingerprint.slice(0,12)}),(0,H.jsx)(i,{className:`button button-plain`,href:C,children:s.inLogs}),(0,H.jsx)(l,{kind:`quiet`,icon:`close`,"aria-label":s.close,onClick:a})]}),(0,H.jsx)(`p`,{className:`quiet`,children:s.inAll(h(t.count),t.models.join(`, `))}),x&&(0,H.jsx)(T,{problem:x,again:S}),!E&&!x&&(0,H.jsx)(d,{}),E&&(0,H.jsx)(g,{caption:s.newest,rows:E,keyOf:({id:e})=>e,columns:[{name:`at`,title:s.time,cell:({occurredAt:t,call:n})=>n?(0,H.jsx)(i,{href:e(`logs`,u(f,{error:null,order:null,call:n.id})),children:(0,H.jsx)(y,{at:t})}):(0,H.jsx)(y,{at:t})},{name:`model`,title:s.model,cell:({call:e})=>e?.model??`–`},{name:`code`,title:s.code,cell:({code:e})=>e??`–`},{name:`message`,title:s.message,cell:({message:e,disclosure:t})=>(0,H.jsx)(`span`,{className:`error-message`,children:e??s.disclosure[t]})},{name:`masked`,title:s.masked,cell:({redactions:e})=>(0,H.jsx)(`span`,{className:`error-rules`,children:e.map(({rule:e,count:t})=>`${e} × ${t}`).join(`, `)||`–`})}]})]})}var W=120,G=24;function K({buckets:e,period:t}){let n=r(V),i=Date.parse(t.from),a=Math.max(1,Date.parse(t.to)-i),o=Math.max(1,...e.map(e=>Number(e.count))),s=e=>Math.min(1,Math.max(0,(Date.parse(e)-i)/a))*W;return(0,H.jsxs)(`svg`,{className:`trend`,viewBox:`0 0 ${W} ${G}`,width:W,height:G,role:`img`,"aria-label":n.trendOf(h(e.length),h(o)),children:[(0,H.jsx)(`line`,{x1:`0`,x2:W,y1:23.5,y2:23.5}),e.map(e=>{let t=Math.max(2,Number(e.count)/o*22),n=s(e.start);return(0,H.jsx)(`rect`,{x:n,y:G-t,width:Math.max(1.5,s(e.end)-n-.75),height:t},e.start)})]})}function q({groups:e,calls:t,period:n,open:i,show:a}){let o=r(V),s=e=>t===null?null:F(e,t);return(0,H.jsx)(g,{caption:o.kinds,rows:e,keyOf:({fingerprint:e})=>e,columns:[{name:`type`,title:o.kind,cell:({fingerprint:e,type:t,sampleMessage:n})=>(0,H.jsxs)(`span`,{className:`error-kind`,children:[(0,H.jsx)(`button`,{type:`button`,className:`linkish`,"aria-expanded":i===e,onClick:()=>a(i===e?null:e),children:t}),n!=null&&(0,H.jsx)(`span`,{className:`error-sample`,title:n,children:n})]})},{name:`trend`,title:o.trend,cell:({buckets:e})=>(0,H.jsx)(K,{buckets:e??[],period:n})},{name:`count`,title:o.count,figures:!0,cell:e=>h(e.count)},{name:`share`,title:o.share,figures:!0,cell:e=>{let t=s(e.count);return t===null?`–`:v(t)}},{name:`models`,title:o.models,cell:({models:e})=>(0,H.jsx)(`span`,{title:e.join(`, `),children:e.length>2?`${e.slice(0,2).join(`, `)} +${e.length-2}`:e.join(`, `)})},{name:`first`,title:o.firstSeen,cell:({firstSeen:e})=>(0,H.jsx)(y,{text:N,at:e})},{name:`last`,title:o.lastSeen,cell:({lastSeen:e})=>(0,H.jsx)(y,{text:N,at:e})}]})}var J=[`COUNT`,`LAST_SEEN`,`FIRST_SEEN`],Y=50,X=864e5;function Z(){let e=w(),n=j(),[r]=t(),{period:i}=S(),a=m(),o=J.find(e=>e===r.get(`order`))??`COUNT`,s=JSON.stringify(a.filter),c=(0,L.useMemo)(()=>k(JSON.parse(s),i),[s,i]),l=E(JSON.stringify([c,o])),u={filter:c,orderBy:{field:o,direction:`DESC`},bucket:Date.parse(i.to)-Date.parse(i.from)<=4*X?`HOUR`:`DAY`,timeZone:n,sample:e.view(`ErrorGroup.sampleMessage`)!==`DENIED`},{data:d,problem:f,waiting:p,again:h}=_(R,{...u,first:Y,after:l.after}),g=Q(u,d?.errorGroups?.nodes),v=_(z,{filter:a.callFilter},{wanted:e.mayAsk(`costs`)}),y=v.data?.costs?.totals,b=y===void 0?null:I(y.map(e=>e.calls)),x=y===void 0?null:I(y.map(e=>e.errors)),C=b===null||x===null?null:F(x,b);return{filtered:a,errorFilter:c,order:o,pages:l,open:g,page:d?.errorGroups,problem:f,waiting:p||v.waiting,again:h,inAll:{calls:b,failed:x,share:C,refusal:v.problem}}}function Q(e,n){let[r]=t(),i=r.get(`error`),a=e=>e.fingerprint===i,o=n?.find(a),{data:s}=_(R,{...e,filter:{...e.filter,fingerprint:{eq:i??``}},first:1},{wanted:i!==null&&n!==void 0&&o===void 0});return o??s?.errorGroups?.nodes.find(a)}function $(){let e=r(V),n=f(),[,i]=t(),a=Z(),{filter:o,choose:s,bound:c}=a.filtered,l=O(o);return(0,H.jsxs)(`div`,{className:`page-body errors`,children:[(0,H.jsxs)(`div`,{className:`errors-toolbar`,children:[(0,H.jsx)(C,{label:e.order,options:J.map(t=>({value:t,text:e.orders[t]})),value:a.order,change:e=>i({order:e})}),(0,H.jsx)(ee,{errors:a})]}),(0,H.jsx)(p,{filter:o,choose:s,bound:c}),l.length>0&&(0,H.jsx)(`p`,{className:`quiet`,children:e.ignored(l.map(n.name).join(`, `))}),a.problem?(0,H.jsx)(T,{problem:a.problem,again:a.again}):(0,H.jsx)(te,{errors:a})]})}function ee({errors:{page:e,inAll:t}}){let n=r(V);if(!e)return null;let{calls:i,failed:a,share:o}=t;return(0,H.jsxs)(`p`,{className:`quiet`,children:[n.groups(h(e.totalCount)),i!==null&&a!==null&&o!==null&&` · ${n.ofCalls(h(a),h(i),v(o))}`]})}function te({errors:e}){let[,n]=t(),{period:r}=S(),{page:i,open:a,inAll:o,pages:s,waiting:c}=e;return i?i.nodes.length===0?(0,H.jsx)(ne,{errors:e}):(0,H.jsxs)(H.Fragment,{children:[a&&(0,H.jsx)(U,{group:a,filter:e.errorFilter,close:()=>n({error:null})}),(0,H.jsx)(`div`,{"aria-busy":c,children:(0,H.jsx)(q,{groups:i.nodes,calls:o.calls,period:r,open:a?.fingerprint??null,show:e=>n({error:e})})}),(0,H.jsx)(D,{pages:s,pageInfo:i.pageInfo})]}):(0,H.jsx)(d,{lines:8})}function ne({errors:{inAll:t,waiting:n,filtered:a}}){let o=r(V),l=c(),{calls:f,failed:p,refusal:m}=t,{filter:g,callFilter:_,clear:v}=a;return n?(0,H.jsx)(d,{lines:8}):p!==null&&p!==`0`?(0,H.jsxs)(s,{title:o.noDetails,children:[(0,H.jsx)(`p`,{children:o.noDetailsWhy(h(p))}),(0,H.jsx)(`p`,{className:`empty-actions`,children:(0,H.jsx)(i,{className:`button button-plain`,href:e(`logs`,u(l,{error:null,order:null,status:`FAILED`})),children:o.inLogs})})]}):f!==null&&f!==`0`?(0,H.jsx)(x,{title:o.none,why:o.noneWhy(h(f)),filter:g,clear:v}):(0,H.jsx)(b,{filter:g,callFilter:_,refusal:m,clear:v,...f===null&&{noMatch:o.none}})}export{$ as default};