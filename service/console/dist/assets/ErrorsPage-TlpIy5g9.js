import{A as e,E as t,M as n,O as r,P as i,T as a,_ as o,c as s,f as c,h as l,k as u,l as d,s as f,u as p,y as m}from"./index-BYTTLwGF.js";import{l as h,s as g,t as _}from"./useFilter-UsESgUEk.js";import{a as v,n as y,r as b,s as x,t as S}from"./Moment-D7fNHVK9.js";import{t as C}from"./NoAnswer-TSzemv7B.js";import{n as w,t as T}from"./errorFilter-CNbYGkOP.js";import{c as E,g as D,p as O,s as k,u as A}from"./zone-CRkJUK2W.js";import{c as j,s as M}from"./decimal-CWpj0E5i.js";var N=D(O(),1),P=m(`
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
`),F=m(`
  query CallsInAll($filter: CallFilter!) {
    costs(filter: $filter) {
      totals {
        calls
        errors
      }
    }
  }
`),I=m(`
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
`),L=t({order:`Order`,orders:{COUNT:`Most often`,LAST_SEEN:`Last seen`,FIRST_SEEN:`New ones`},groups:e=>`${e} kinds of errors`,ofCalls:(e,t,n)=>`${e} of ${t} calls failed (${n})`,ignored:e=>`Errors are not chosen by ${e}: these filters hold for calls alone.`,none:`No errors in this time.`,noneWhy:`Their details may be gone already: calls know the types of their errors for longer, in the logs.`,noCalls:`No calls in this time.`,noCallsWhy:`Choose a longer time, or take a filter back.`,kinds:`Kinds of errors`,kind:`Error`,trend:`Trend`,trendOf:(e,t)=>`In ${e} parts of the time, at most ${t} in one`,count:`Errors`,share:`Of all calls`,models:`Models`,firstSeen:`First seen`,lastSeen:`Last seen`,first:`First page`,next:`Next page`,inLogs:`Its calls in the logs`,close:`Close this error`,inAll:(e,t)=>`${e} errors, of ${t}`,newest:`The newest of them`,time:`Time`,model:`Model`,code:`Code`,message:`Message`,masked:`Masked by`,disclosure:{CLEAR:`No message`,MASKED:`No message`,SEALED:`Sealed`,NOT_KEPT:`Not kept`,KEY_DESTROYED:`Past its window`,KEY_LOST:`Its key is lost`}},{order:`排序`,orders:{COUNT:`最频繁`,LAST_SEEN:`最近出现`,FIRST_SEEN:`新出现`},groups:e=>`${e} 类错误`,ofCalls:(e,t,n)=>`${t} 次调用中有 ${e} 次失败(${n})`,ignored:e=>`错误不支持按 ${e} 筛选:这些条件仅适用于调用。`,none:`此时间段内没有错误。`,noneWhy:`错误详情可能已超过保留期:调用日志会更久地保留错误类型。`,noCalls:`此时间段内没有调用。`,noCallsWhy:`请选择更长的时间,或移除筛选条件。`,kinds:`错误分类`,kind:`错误`,trend:`趋势`,trendOf:(e,t)=>`分布在 ${e} 个时间段,单段最多 ${t} 次`,count:`次数`,share:`占全部调用`,models:`模型`,firstSeen:`首次出现`,lastSeen:`最近出现`,first:`第一页`,next:`下一页`,inLogs:`在日志中查看调用`,close:`关闭此错误`,inAll:(e,t)=>`共 ${e} 次错误,模型:${t}`,newest:`最新的错误`,time:`时间`,model:`模型`,code:`代码`,message:`消息`,masked:`脱敏规则`,disclosure:{CLEAR:`没有消息`,MASKED:`没有消息`,SEALED:`已密封`,NOT_KEPT:`未保留`,KEY_DESTROYED:`已超过保留期`,KEY_LOST:`密钥已丢失`}}),R=A();function z({group:t,filter:r,close:d}){let f=a(L),p=i(),m=c(),h=(0,N.useRef)(null);(0,N.useEffect)(()=>h.current?.focus(),[t.fingerprint]),(0,N.useEffect)(()=>{let e=e=>e.key===`Escape`&&!e.defaultPrevented&&d();return document.addEventListener(`keydown`,e),()=>document.removeEventListener(`keydown`,e)},[d]);let g=(0,N.useMemo)(()=>({...r,fingerprint:{eq:t.fingerprint}}),[r,t.fingerprint]),{data:_,problem:x,again:w}=b(I,{filter:g,message:m.view(`CallError.message`)!==`DENIED`,call:m.view(`CallError.call`)!==`DENIED`}),T=e(`logs`,u(p,{error:null,order:null,after:null,status:`FAILED`,errorType:t.type,model:[...t.models]})),E=_?.errors?.nodes;return(0,R.jsxs)(`section`,{className:`error-detail`,children:[(0,R.jsxs)(`header`,{className:`errors-toolbar`,children:[(0,R.jsx)(`h2`,{ref:h,tabIndex:-1,children:t.type}),(0,R.jsx)(l,{text:t.fingerprint,shown:t.fingerprint.slice(0,12)}),(0,R.jsx)(n,{className:`button button-plain`,href:T,children:f.inLogs}),(0,R.jsx)(o,{kind:`quiet`,icon:`close`,"aria-label":f.close,onClick:d})]}),(0,R.jsx)(`p`,{className:`quiet`,children:f.inAll(v(t.count),t.models.join(`, `))}),x&&(0,R.jsx)(C,{problem:x,again:w}),!E&&!x&&(0,R.jsx)(s,{}),E&&(0,R.jsx)(y,{caption:f.newest,rows:E,keyOf:({id:e})=>e,columns:[{name:`at`,title:f.time,cell:({occurredAt:t,call:r})=>r?(0,R.jsx)(n,{href:e(`logs`,u(p,{error:null,order:null,after:null,call:r.id})),children:(0,R.jsx)(S,{at:t})}):(0,R.jsx)(S,{at:t})},{name:`model`,title:f.model,cell:({call:e})=>e?.model??`–`},{name:`code`,title:f.code,cell:({code:e})=>e??`–`},{name:`message`,title:f.message,cell:({message:e,disclosure:t})=>(0,R.jsx)(`span`,{className:`error-message`,children:e??f.disclosure[t]})},{name:`masked`,title:f.masked,cell:({redactions:e})=>e.map(({rule:e,count:t})=>`${e} × ${t}`).join(`, `)||`–`}]})]})}var B=120,V=24;function H({buckets:e,period:t}){let n=a(L),r=Date.parse(t.from),i=Math.max(1,Date.parse(t.to)-r),o=Math.max(1,...e.map(e=>Number(e.count))),s=e=>Math.min(1,Math.max(0,(Date.parse(e)-r)/i))*B;return(0,R.jsxs)(`svg`,{className:`trend`,viewBox:`0 0 ${B} ${V}`,width:B,height:V,role:`img`,"aria-label":n.trendOf(v(e.length),v(o)),children:[(0,R.jsx)(`line`,{x1:`0`,x2:B,y1:23.5,y2:23.5}),e.map(e=>{let t=Math.max(2,Number(e.count)/o*22),n=s(e.start);return(0,R.jsx)(`rect`,{x:n,y:V-t,width:Math.max(1.5,s(e.end)-n-.75),height:t},e.start)})]})}function U({groups:e,calls:t,period:n,open:r,show:i}){let o=a(L),s=e=>t===null?null:M(e,t);return(0,R.jsx)(y,{caption:o.kinds,rows:e,keyOf:({fingerprint:e})=>e,columns:[{name:`type`,title:o.kind,cell:({fingerprint:e,type:t,sampleMessage:n})=>(0,R.jsxs)(`span`,{className:`error-kind`,children:[(0,R.jsx)(`button`,{type:`button`,className:`linkish`,"aria-expanded":r===e,onClick:()=>i(r===e?null:e),children:t}),n!=null&&(0,R.jsx)(`span`,{className:`error-sample`,title:n,children:n})]})},{name:`trend`,title:o.trend,cell:({buckets:e})=>(0,R.jsx)(H,{buckets:e??[],period:n})},{name:`count`,title:o.count,figures:!0,cell:e=>v(e.count)},{name:`share`,title:o.share,figures:!0,cell:e=>{let t=s(e.count);return t===null?`–`:x(t)}},{name:`models`,title:o.models,cell:({models:e})=>(0,R.jsx)(`span`,{title:e.join(`, `),children:e.length>2?`${e.slice(0,2).join(`, `)} +${e.length-2}`:e.join(`, `)})},{name:`first`,title:o.firstSeen,cell:({firstSeen:e})=>(0,R.jsx)(S,{text:k,at:e})},{name:`last`,title:o.lastSeen,cell:({lastSeen:e})=>(0,R.jsx)(S,{text:k,at:e})}]})}var W=[`COUNT`,`LAST_SEEN`,`FIRST_SEEN`],G=50,K=864e5;function q(){let e=c(),t=E(),[n]=r(),{period:i}=p(),a=_(),o=W.find(e=>e===n.get(`order`))??`COUNT`,s=JSON.stringify(a.filter),l=(0,N.useMemo)(()=>T(JSON.parse(s),i),[s,i]),{data:u,problem:d,waiting:f,again:m}=b(P,{filter:l,orderBy:{field:o,direction:`DESC`},first:G,after:n.get(`after`),bucket:Date.parse(i.to)-Date.parse(i.from)<=4*K?`HOUR`:`DAY`,timeZone:t,sample:e.view(`ErrorGroup.sampleMessage`)!==`DENIED`}),h=b(F,{filter:a.callFilter},{wanted:e.mayAsk(`costs`)}).data?.costs?.totals??[],g=j(h.map(e=>e.calls)),v=j(h.map(e=>e.errors));return{filtered:a,errorFilter:l,order:o,page:u?.errorGroups,problem:d,waiting:f,again:m,calls:g,failed:v,share:M(v,g)}}function J(){let e=a(L),t=h(),[,n]=r(),i=q(),{filter:o,choose:s,bound:c}=i.filtered,l=w(o);return(0,R.jsxs)(`div`,{className:`page-body errors`,children:[(0,R.jsxs)(`div`,{className:`errors-toolbar`,children:[(0,R.jsx)(f,{label:e.order,options:W.map(t=>({value:t,text:e.orders[t]})),value:i.order,change:e=>n({order:e,after:null})}),(0,R.jsx)(Y,{errors:i})]}),(0,R.jsx)(g,{filter:o,choose:s,bound:c}),l.length>0&&(0,R.jsx)(`p`,{className:`quiet`,children:e.ignored(l.map(t.name).join(`, `))}),i.problem?(0,R.jsx)(C,{problem:i.problem,again:i.again}):(0,R.jsx)(X,{errors:i})]})}function Y({errors:{page:e,calls:t,failed:n,share:r}}){let i=a(L);return e?(0,R.jsxs)(`p`,{className:`quiet`,children:[i.groups(v(e.totalCount)),r!==null&&` · ${i.ofCalls(v(n),v(t),x(r))}`]}):null}function X({errors:e}){let t=a(L),[n,i]=r(),{period:c}=p(),{page:l,calls:u,waiting:f}=e,m=l?.nodes.find(e=>e.fingerprint===n.get(`error`));return l?l.nodes.length===0?(0,R.jsx)(d,{title:u===`0`?t.noCalls:t.none,children:(0,R.jsx)(`p`,{children:u===`0`?t.noCallsWhy:t.noneWhy})}):(0,R.jsxs)(R.Fragment,{children:[m&&(0,R.jsx)(z,{group:m,filter:e.errorFilter,close:()=>i({error:null})}),(0,R.jsx)(`div`,{"aria-busy":f,children:(0,R.jsx)(U,{groups:l.nodes,calls:e.share===null?null:u,period:c,open:m?.fingerprint??null,show:e=>i({error:e})})}),(0,R.jsxs)(`div`,{className:`errors-toolbar`,children:[n.has(`after`)&&(0,R.jsx)(o,{icon:`left`,onClick:()=>i({after:null}),children:t.first}),l.pageInfo.hasNextPage&&(0,R.jsx)(o,{icon:`right`,onClick:()=>i({after:l.pageInfo.endCursor??null}),children:t.next})]})]}):(0,R.jsx)(s,{lines:8})}export{J as default};