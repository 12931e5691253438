import{E as e,T as t,_ as n,c as r,f as i,h as a,l as o,u as s,y as c}from"./index-BNrhFSbW.js";import{_ as l,d as u,m as d}from"./zone-BdkYMsVa.js";import{a as f,n as p,o as m,r as h,t as g}from"./Moment-CeHK7qrJ.js";import{t as _}from"./NoAnswer-CbmLt-VX.js";import{n as v,t as y}from"./Pager-lC6FjMQn.js";var b=l(d(),1),x=c(`
  query Refusals($since: DateTime!, $until: DateTime) {
    ingestReport(since: $since, until: $until) {
      since
      refused
      truncated
      rows {
        hour
        source
        reason
        account
        refused
      }
    }
  }
`),S=c(`
  query Health($purges: Boolean!) {
    retention {
      missing
      detached
      nextPurgeAt
      classes {
        overdue
        keys {
          live
          lost
        }
      }
      lastPurge @include(if: $purges) {
        state
        finishedAt
        failure
      }
    }
  }
`),C=c(`
  query Sums($filter: CallFilter!) {
    costs(filter: $filter) {
      coverage {
        to
        source
      }
    }
  }
`),w=c(`
  query Deliveries($webhook: ID!, $after: String) {
    webhookDeliveries(webhook: $webhook, first: 20, after: $after) {
      nodes {
        id
        event
        state
        createdAt
        nextAttemptAt
        endedAt
        attempts {
          at
          durationMs
          status
          failure
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`),T=c(`
  query Receivers {
    webhooks(first: 50) {
      nodes {
        id
        name
        url
        events
        createdAt
        disabledAt
        failure
      }
    }
  }
`),E=e({health:`Health`,database:`Service and database`,answers:`Ready`,away:`Not ready`,keyring:`Keyring`,lost:(e,t)=>`${e} lost of ${t} keys`,purge:`Purge`,overdue:e=>`${e} rows overdue`,last:`last`,protections:`Protections`,missing:e=>`${e} missing`,sums:`Sums`,sources:{ROLLUPS:`From sums`,CALLS:`From single calls`,BOTH:`Sums, and calls at the ends`},upTo:`up to`,well:`well`,lookHere:`look here`,refused:`Refused on their way in`,nothingRefused:`Nothing was refused in this time.`,nothingWhy:`Counts are kept for 31 days, without what was in the rows.`,inAll:e=>`${e} calls and requests, by reason`,reason:`Reason`,count:`Refused`,source:`Source`,account:`Account of the key`,lastHour:`Last in the hour of`,truncated:`There are more hours than are counted here: choose a shorter time.`,reasons:{ROW_UNREADABLE:`A row that is no JSON object, or nests too deeply`,FIELD_MISSING:`A field is absent that a call cannot do without`,FIELD_INVALID:`A field that a call cannot do without is not as it should be`,ACCOUNT_UNUSABLE:`The account's name looks like a credential, or holds an e-mail address`,ACCOUNT_NOT_ALLOWED:`The key is bound to other accounts`,TOO_OLD:`Older than calls are kept`,TOO_NEW:`More than 24 hours ahead`,CORRECTION_INVALID:`A correction that does not fit its call`,CONFLICT:`Another call with this id is stored`,DATABASE_REFUSED:`The database refused the row`,NOT_STORED:`The database was away when the rest was stored already`,BODY_UNREADABLE:`A request in which no row can be made out`,BODY_TOO_LARGE:`A request that is larger than the limit`,BODY_INCOMPLETE:`A request whose connection ended before it did`,ENCODING_NOT_SUPPORTED:`A request that is packed by anything but gzip`,UNAUTHENTICATED:`A request without a valid key`,FORBIDDEN:`A request with a key that may not report`,QUEUE_FULL:`Too many calls waited`,UNAVAILABLE:`The database was away, or the service stopped`,INTERNAL:`Failed by our mistake`},webhooks:`Webhooks`,name:`Name`,address:`Address`,events:`Events`,state:`State`,disabled:`Disabled`,failing:`Failing`,failure:`Failure`,made:`Made`,deliveries:`Deliveries`,deliveriesTo:e=>`Deliveries to ${e}`,noDeliveries:`Nothing was to be delivered in the last 30 days.`,id:`Id`,event:`Event`,deliveryStates:{PENDING:`Pending`,DELIVERED:`Delivered`,FAILED:`Given up`},happened:`Found to have happened`,attempts:`Attempts`,lastAnswer:`Last answer`,nextAttempt:`Next attempt`,ended:`Ended`},{health:`健康状况`,database:`服务与数据库`,answers:`就绪`,away:`未就绪`,keyring:`密钥环`,lost:(e,t)=>`${t} 个密钥中丢失 ${e} 个`,purge:`清除`,overdue:e=>`逾期 ${e} 行`,last:`上次`,protections:`保护措施`,missing:e=>`缺失 ${e} 项`,sums:`汇总`,sources:{ROLLUPS:`来自汇总`,CALLS:`来自单次调用`,BOTH:`汇总，两端来自单次调用`},upTo:`截至`,well:`正常`,lookHere:`需关注`,refused:`被拒绝的上报`,nothingRefused:`此时间段内没有被拒绝的上报。`,nothingWhy:`计数保留 31 天，不含行的内容。`,inAll:e=>`共 ${e} 个调用和请求，按原因统计`,reason:`原因`,count:`拒绝数`,source:`来源`,account:`密钥所属账户`,lastHour:`最近一次所在小时`,truncated:`小时数超出此处的统计范围：请选择更短的时间。`,reasons:{ROW_UNREADABLE:`行不是 JSON 对象，或嵌套过深`,FIELD_MISSING:`缺少必需的字段`,FIELD_INVALID:`必需的字段不合规`,ACCOUNT_UNUSABLE:`账户名形似凭证，或包含电子邮件地址`,ACCOUNT_NOT_ALLOWED:`密钥绑定了其他账户`,TOO_OLD:`早于调用的保留期`,TOO_NEW:`超前 24 小时以上`,CORRECTION_INVALID:`更正与其调用不符`,CONFLICT:`已存在相同 ID 的其他调用`,DATABASE_REFUSED:`数据库拒绝了该行`,NOT_STORED:`其余部分已存储时数据库不可用`,BODY_UNREADABLE:`请求中无法识别任何行`,BODY_TOO_LARGE:`请求超过大小限制`,BODY_INCOMPLETE:`请求未完成连接即中断`,ENCODING_NOT_SUPPORTED:`请求使用了 gzip 以外的压缩`,UNAUTHENTICATED:`请求没有有效的密钥`,FORBIDDEN:`请求的密钥无权上报`,QUEUE_FULL:`等待的调用过多`,UNAVAILABLE:`数据库不可用，或服务正在停止`,INTERNAL:`因我们的错误而失败`},webhooks:`Webhooks 接收方`,name:`名称`,address:`地址`,events:`事件`,state:`状态`,disabled:`已停用`,failing:`投递失败`,failure:`失败原因`,made:`创建时间`,deliveries:`投递记录`,deliveriesTo:e=>`发往 ${e} 的投递`,noDeliveries:`最近 30 天内没有需要投递的内容。`,id:`编号`,event:`事件`,deliveryStates:{PENDING:`等待中`,DELIVERED:`已送达`,FAILED:`已放弃`},happened:`发现时间`,attempts:`尝试次数`,lastAnswer:`最近的响应`,nextAttempt:`下次尝试`,ended:`结束时间`}),D=u();function O(e){let[t,n]=(0,b.useState)(null);return(0,b.useEffect)(()=>{let e=new AbortController;return fetch(new URL(`../readyz`,document.baseURI),{signal:e.signal,credentials:`omit`}).then(e=>n(e.ok),()=>e.signal.aborted||n(!1)),()=>e.abort()},[e]),t}function k(){let e=t(E),n=i(),{period:r}=s(),a=O(r.to),{data:o,problem:c,again:l}=h(S,{purges:n.mayAsk(`purgeRuns`)},{wanted:n.mayAsk(`retention`)}),u=h(C,{filter:{startedAt:{gte:r.from,lt:r.to}}},{wanted:n.mayAsk(`costs`)}),d=o?.retention;return(0,D.jsxs)(`section`,{className:`panel`,children:[(0,D.jsx)(`h2`,{children:e.health}),c&&(0,D.jsx)(_,{problem:c,again:l}),(0,D.jsxs)(`dl`,{className:`figures-grid`,children:[(0,D.jsx)(j,{name:e.database,good:a,children:a===null?`…`:a?e.answers:e.away}),d&&(0,D.jsx)(A,{report:d}),u.data?.costs&&(0,D.jsxs)(j,{name:e.sums,good:!0,children:[e.sources[u.data.costs.coverage.source],(0,D.jsxs)(`small`,{children:[e.upTo,` `,(0,D.jsx)(g,{at:u.data.costs.coverage.to})]})]})]}),[...d?.missing??[],...d?.detached??[]].map(e=>(0,D.jsx)(`p`,{className:`operation-missing`,children:e},e))]})}function A({report:e}){let n=t(E),r=t=>e.classes.reduce((e,n)=>e+BigInt(t(n)),0n),i=r(e=>e.keys.lost),a=r(e=>e.overdue),o=e.lastPurge?.state===`FAILED`;return(0,D.jsxs)(D.Fragment,{children:[(0,D.jsx)(j,{name:n.keyring,good:i===0n,children:n.lost(f(String(i)),f(String(r(e=>e.keys.live))))}),(0,D.jsxs)(j,{name:n.purge,good:a===0n&&!o,children:[n.overdue(f(String(a))),e.lastPurge?.finishedAt&&(0,D.jsxs)(`small`,{children:[n.last,` `,(0,D.jsx)(g,{at:e.lastPurge.finishedAt})]}),e.lastPurge?.failure&&(0,D.jsx)(`small`,{children:e.lastPurge.failure})]}),(0,D.jsx)(j,{name:n.protections,good:e.missing.length===0&&e.detached.length===0,children:n.missing(f(e.missing.length+e.detached.length))})]})}function j({name:e,good:n,children:r}){let i=t(E);return(0,D.jsxs)(`div`,{className:`figure`,children:[(0,D.jsxs)(`dt`,{children:[e,` `,n!==null&&(0,D.jsx)(`span`,{className:n?`badge badge-good`:`badge badge-bad`,children:n?i.well:i.lookHere})]}),(0,D.jsx)(`dd`,{children:r})]})}function M(e){let t=new Map;for(let n of e)t.set(n.reason,[...t.get(n.reason)??[],n]);let n=e=>[...new Set(e.flatMap(e=>e??[]))].toSorted();return[...t].map(([e,t])=>({reason:e,refused:t.reduce((e,t)=>e+BigInt(t.refused),0n),sources:n(t.map(e=>e.source)),accounts:n(t.map(e=>e.account)),last:t.map(e=>e.hour).reduce((e,t)=>e>t?e:t)})).toSorted((e,t)=>e.refused<t.refused?1:-1)}function N(){let e=t(E),{period:n}=s(),{data:i,problem:a,again:c}=h(x,{since:n.from,until:n.to}),l=i?.ingestReport,u=(0,b.useMemo)(()=>M(l?.rows??[]),[l]),d=e.reasons;return(0,D.jsxs)(`section`,{className:`panel`,children:[(0,D.jsx)(`h2`,{children:e.refused}),a&&(0,D.jsx)(_,{problem:a,again:c}),!l&&!a&&(0,D.jsx)(r,{lines:4}),l&&u.length===0&&(0,D.jsx)(o,{title:e.nothingRefused,children:(0,D.jsx)(`p`,{children:e.nothingWhy})}),l&&u.length>0&&(0,D.jsx)(p,{caption:e.inAll(f(l.refused)),rows:u,keyOf:({reason:e})=>e,columns:[{name:`reason`,title:e.reason,cell:({reason:e})=>(0,D.jsxs)(`span`,{className:`refusal`,children:[d[e]??e,(0,D.jsx)(`code`,{children:e})]})},{name:`count`,title:e.count,figures:!0,cell:({refused:e})=>f(String(e))},{name:`sources`,title:e.source,cell:({sources:e})=>e.join(`, `)},{name:`accounts`,title:e.account,cell:({accounts:e})=>e.join(`, `)||`–`},{name:`last`,title:e.lastHour,cell:({last:e})=>(0,D.jsx)(g,{at:e})}]}),l?.truncated&&(0,D.jsx)(`p`,{className:`quiet`,children:e.truncated})]})}var P={PENDING:`badge badge-warn`,DELIVERED:`badge badge-good`,FAILED:`badge badge-bad`};function F({webhook:e,name:n}){let i=t(E),s=v(e),{data:c,problem:l,waiting:u,again:d}=h(w,{webhook:e,after:s.after}),m=c?.webhookDeliveries;return l?(0,D.jsx)(_,{problem:l,again:d}):m?m.nodes.length===0?(0,D.jsx)(o,{title:i.noDeliveries}):(0,D.jsxs)(`div`,{"aria-busy":u,children:[(0,D.jsx)(p,{caption:i.deliveriesTo(n),rows:m.nodes,keyOf:({id:e})=>e,columns:[{name:`id`,title:i.id,cell:({id:e})=>(0,D.jsx)(a,{text:e,shown:`${e.slice(0,12)}…`})},{name:`event`,title:i.event,cell:({event:e})=>(0,D.jsx)(`code`,{children:e})},{name:`state`,title:i.state,cell:({state:e})=>(0,D.jsx)(`span`,{className:P[e],children:i.deliveryStates[e]})},{name:`made`,title:i.happened,cell:({createdAt:e})=>(0,D.jsx)(g,{at:e})},{name:`attempts`,title:i.attempts,figures:!0,cell:({attempts:e})=>f(e.length)},{name:`answer`,title:i.lastAnswer,cell:({attempts:e})=>(0,D.jsx)(I,{attempt:e.at(-1)})},{name:`next`,title:i.nextAttempt,cell:({nextAttemptAt:e})=>e?(0,D.jsx)(g,{at:e}):`–`},{name:`ended`,title:i.ended,cell:({endedAt:e})=>e?(0,D.jsx)(g,{at:e}):`–`}]}),(0,D.jsx)(y,{pages:s,pageInfo:m.pageInfo})]}):(0,D.jsx)(r,{lines:4})}function I({attempt:e}){if(e===void 0)return`–`;let{status:t,failure:n,durationMs:r}=e;return(0,D.jsxs)(D.Fragment,{children:[n??t??`–`,` `,r!=null&&(0,D.jsx)(`span`,{className:`quiet`,children:m(r)})]})}function L(){let e=t(E),{data:r,problem:a,again:o}=h(T,{}),[s,c]=(0,b.useState)(null),l=i(),u=r?.webhooks?.nodes??[],d=u.find(({id:e})=>e===s),f={name:`deliveries`,title:(0,D.jsx)(`span`,{className:`unseen`,children:e.deliveries}),cell:({id:t,name:r,url:i})=>(0,D.jsx)(n,{"aria-expanded":t===s,"aria-label":e.deliveriesTo(r??i),onClick:()=>c(t===s?null:t),children:e.deliveries})};return a?(0,D.jsx)(_,{problem:a,again:o}):u.length===0?null:(0,D.jsxs)(`section`,{className:`panel`,children:[(0,D.jsx)(p,{caption:e.webhooks,rows:u,keyOf:({id:e})=>e,columns:[{name:`name`,title:e.name,cell:({name:e})=>e??`–`},{name:`url`,title:e.address,cell:({url:e})=>(0,D.jsx)(`code`,{children:e})},{name:`events`,title:e.events,cell:({events:e})=>e.map(e=>(0,D.jsxs)(`code`,{children:[e,` `]},e))},{name:`state`,title:e.state,cell:({disabledAt:t,failure:n})=>(0,D.jsx)(`span`,{className:t?`badge badge-bad`:n?`badge badge-warn`:`badge badge-good`,children:t?e.disabled:n?e.failing:e.well})},{name:`failure`,title:e.failure,cell:({failure:e})=>e??`–`},{name:`made`,title:e.made,cell:({createdAt:e})=>(0,D.jsx)(g,{at:e})},...l.mayAsk(`webhookDeliveries`)?[f]:[]]}),d&&(0,D.jsx)(F,{webhook:d.id,name:d.name??d.url},d.id)]})}function R(){let e=i();return(0,D.jsxs)(`div`,{className:`page-body`,children:[(0,D.jsx)(k,{}),(0,D.jsx)(N,{}),e.mayAsk(`webhooks`)&&(0,D.jsx)(L,{})]})}export{R as default};