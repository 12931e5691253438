import{c as e}from"./index-CkhWhEJl.js";import{f as t,h as n,v as r}from"./zone-DXQPei4g.js";import{a as i,n as a,o,r as s,t as c}from"./Moment-CML5bCIn.js";import{U as l,V as u,a as d,l as f,n as p,s as m,t as h}from"./Empty-BfgApZrn.js";import{t as g}from"./NoAnswer-eAnr6-3V.js";import{n as _}from"./RangeContext-CAghGEn1.js";import{n as v,t as y}from"./Pager-gJRbhRL-.js";var b=r(n(),1),x=p(`
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
`),S=p(`
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
`),C=p(`
  query Sums($filter: CallFilter!) {
    costs(filter: $filter) {
      coverage {
        to
        source
      }
    }
  }
`),w=p(`
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
`),T=p(`
  query Sources($after: String) {
    sources(first: 50, after: $after) {
      nodes {
        id
        name
        format
        address
        account
        everySeconds
        rows
        refused
        lastRowAt
        lagSeconds
        failures
        failure
        dueAt
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount
    }
  }
`),E=p(`
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
`),D=l({health:`Health`,database:`Service and database`,answers:`Ready`,away:`Not ready`,keyring:`Keyring`,lost:(e,t)=>`${e} lost of ${t} keys`,purge:`Purge`,overdue:e=>e===`1`?`1 row overdue`:`${e} rows overdue`,last:`last`,protections:`Protections`,missing:e=>`${e} missing`,sums:`Sums`,sources:{ROLLUPS:`Read from sums`,CALLS:`Read from single calls`,BOTH:`Sums used`},upTo:`up to`,well:`well`,lookHere:`look here`,refused:`Refused on their way in`,nothingRefused:`Nothing was refused in this time.`,nothingWhy:`Counts are kept for 31 days, without what was in the rows.`,someAccounts:`You are signed in for some accounts: what was refused of keys for every account is not counted here.`,inAll:e=>e===`1`?`1 call or request`:`${e} calls and requests, by reason`,reason:`Reason`,count:`Refused`,source:`Source`,account:`Account of the key`,lastHour:`Last in the hour of`,truncated:`There are more hours than are counted here: choose a shorter time.`,reasons:{ROW_UNREADABLE:`A row that is no JSON object, or nests too deeply`,FIELD_MISSING:`A field is absent that a call cannot do without`,FIELD_INVALID:`A field that a call cannot do without is not as it should be`,ACCOUNT_UNUSABLE:`The account's name looks like a credential, or holds an e-mail address`,ACCOUNT_NOT_ALLOWED:`The key is bound to other accounts`,TOO_OLD:`Older than calls are kept`,TOO_NEW:`More than 24 hours ahead`,CORRECTION_INVALID:`A correction that does not fit its call`,CONFLICT:`Another call with this id is stored`,DATABASE_REFUSED:`The database refused the row`,NOT_STORED:`The database was away when the rest was stored already`,BODY_UNREADABLE:`A request in which no row can be made out`,BODY_TOO_LARGE:`A request that is larger than the limit`,BODY_INCOMPLETE:`A request whose connection ended before it did`,ENCODING_NOT_SUPPORTED:`A request that is packed by anything but gzip`,UNAUTHENTICATED:`A request without a valid key`,FORBIDDEN:`A request with a key that may not report`,QUEUE_FULL:`Too many calls waited`,UNAVAILABLE:`The database was away, or the service stopped`,INTERNAL:`Failed by our mistake`},pulled:`Pulled gateways`,late:`lags`,pulledFor:`All of`,lastRow:`Newest call`,lag:`Lag`,rows:`Rows`,failures:`Failures in a row`,due:`Read next`,webhooks:`Webhooks`,name:`Name`,address:`Address`,events:`Events`,state:`State`,disabled:`Disabled`,failing:`Failing`,failure:`Failure`,made:`Made`,deliveries:`Deliveries`,deliveriesTo:e=>`Deliveries to ${e}`,noDeliveries:`Nothing was to be delivered in the last 30 days.`,id:`Id`,event:`Event`,deliveryStates:{PENDING:`Pending`,DELIVERED:`Delivered`,FAILED:`Given up`},happened:`Found to have happened`,attempts:`Attempts`,lastAnswer:`Last answer`,nextAttempt:`Next attempt`,ended:`Ended`},{health:`健康状况`,database:`服务与数据库`,answers:`就绪`,away:`未就绪`,keyring:`密钥环`,lost:(e,t)=>`${t} 个密钥中丢失 ${e} 个`,purge:`清除`,overdue:e=>`逾期 ${e} 行`,last:`上次`,protections:`保护措施`,missing:e=>`缺失 ${e} 项`,sums:`汇总`,sources:{ROLLUPS:`来自汇总`,CALLS:`来自单次调用`,BOTH:`使用汇总`},upTo:`截至`,well:`正常`,lookHere:`需关注`,refused:`被拒绝的上报`,nothingRefused:`此时间段内没有被拒绝的上报。`,nothingWhy:`计数保留 31 天，不含行的内容。`,someAccounts:`您的登录仅限部分账户：适用于所有账户的密钥被拒绝的上报不计入此处。`,inAll:e=>`共 ${e} 个调用和请求，按原因统计`,reason:`原因`,count:`拒绝数`,source:`来源`,account:`密钥所属账户`,lastHour:`最近一次所在小时`,truncated:`小时数超出此处的统计范围：请选择更短的时间。`,reasons:{ROW_UNREADABLE:`行不是 JSON 对象，或嵌套过深`,FIELD_MISSING:`缺少必需的字段`,FIELD_INVALID:`必需的字段不合规`,ACCOUNT_UNUSABLE:`账户名形似凭证，或包含电子邮件地址`,ACCOUNT_NOT_ALLOWED:`密钥绑定了其他账户`,TOO_OLD:`早于调用的保留期`,TOO_NEW:`超前 24 小时以上`,CORRECTION_INVALID:`更正与其调用不符`,CONFLICT:`已存在相同 ID 的其他调用`,DATABASE_REFUSED:`数据库拒绝了该行`,NOT_STORED:`其余部分已存储时数据库不可用`,BODY_UNREADABLE:`请求中无法识别任何行`,BODY_TOO_LARGE:`请求超过大小限制`,BODY_INCOMPLETE:`请求未完成连接即中断`,ENCODING_NOT_SUPPORTED:`请求使用了 gzip 以外的压缩`,UNAUTHENTICATED:`请求没有有效的密钥`,FORBIDDEN:`请求的密钥无权上报`,QUEUE_FULL:`等待的调用过多`,UNAVAILABLE:`数据库不可用，或服务正在停止`,INTERNAL:`因我们的错误而失败`},pulled:`被拉取的网关`,late:`滞后`,pulledFor:`全部属于`,lastRow:`最新调用`,lag:`滞后时间`,rows:`行数`,failures:`连续失败次数`,due:`下次读取`,webhooks:`Webhooks 接收方`,name:`名称`,address:`地址`,events:`事件`,state:`状态`,disabled:`已停用`,failing:`投递失败`,failure:`失败原因`,made:`创建时间`,deliveries:`投递记录`,deliveriesTo:e=>`发往 ${e} 的投递`,noDeliveries:`最近 30 天内没有需要投递的内容。`,id:`编号`,event:`事件`,deliveryStates:{PENDING:`等待中`,DELIVERED:`已送达`,FAILED:`已放弃`},happened:`发现时间`,attempts:`尝试次数`,lastAnswer:`最近的响应`,nextAttempt:`下次尝试`,ended:`结束时间`}),O=t();function k(e){let[t,n]=(0,b.useState)(null);return(0,b.useEffect)(()=>{let e=new AbortController;return fetch(new URL(`../readyz`,document.baseURI),{signal:e.signal,credentials:`omit`}).then(e=>n(e.ok),()=>e.signal.aborted||n(!1)),()=>e.abort()},[e]),t}function A(){let t=u(D),n=e(),{period:r}=_(),i=k(r.to),{data:a,problem:o,again:l}=s(S,{purges:n.mayAsk(`purgeRuns`)},{wanted:n.mayAsk(`retention`)}),d=s(C,{filter:{startedAt:{gte:r.from,lt:r.to}}},{wanted:n.mayAsk(`costs`)}),f=a?.retention;return(0,O.jsxs)(`section`,{className:`panel`,children:[(0,O.jsx)(`h2`,{children:t.health}),o&&(0,O.jsx)(g,{problem:o,again:l}),(0,O.jsxs)(`dl`,{className:`figures-grid`,children:[(0,O.jsx)(M,{name:t.database,good:i,children:i===null?`…`:i?t.answers:t.away}),f&&(0,O.jsx)(j,{report:f}),d.data?.costs&&(0,O.jsxs)(M,{name:t.sums,good:!0,children:[t.sources[d.data.costs.coverage.source],(0,O.jsxs)(`small`,{children:[t.upTo,` `,(0,O.jsx)(c,{at:d.data.costs.coverage.to})]})]})]}),[...f?.missing??[],...f?.detached??[]].map(e=>(0,O.jsx)(`p`,{className:`operation-missing`,children:e},e))]})}function j({report:e}){let t=u(D),n=t=>e.classes.reduce((e,n)=>e+BigInt(t(n)),0n),r=n(e=>e.keys.lost),a=n(e=>e.overdue),o=e.lastPurge?.state===`FAILED`;return(0,O.jsxs)(O.Fragment,{children:[(0,O.jsx)(M,{name:t.keyring,good:r===0n,children:t.lost(i(String(r)),i(String(n(e=>e.keys.live))))}),(0,O.jsxs)(M,{name:t.purge,good:a===0n&&!o,children:[t.overdue(i(String(a))),e.lastPurge?.finishedAt&&(0,O.jsxs)(`small`,{children:[t.last,` `,(0,O.jsx)(c,{at:e.lastPurge.finishedAt})]}),e.lastPurge?.failure&&(0,O.jsx)(`small`,{children:e.lastPurge.failure})]}),(0,O.jsx)(M,{name:t.protections,good:e.missing.length===0&&e.detached.length===0,children:t.missing(i(e.missing.length+e.detached.length))})]})}function M({name:e,good:t,children:n}){let r=u(D);return(0,O.jsxs)(`div`,{className:`figure`,children:[(0,O.jsxs)(`dt`,{children:[e,` `,t!==null&&(0,O.jsx)(`span`,{className:t?`badge badge-good`:`badge badge-bad`,children:t?r.well:r.lookHere})]}),(0,O.jsx)(`dd`,{children:n})]})}function N(e){let t=new Map;for(let n of e)t.set(n.reason,[...t.get(n.reason)??[],n]);let n=e=>[...new Set(e.flatMap(e=>e??[]))].toSorted();return[...t].map(([e,t])=>({reason:e,refused:t.reduce((e,t)=>e+BigInt(t.refused),0n),sources:n(t.map(e=>e.source)),accounts:n(t.map(e=>e.account)),last:t.map(e=>e.hour).reduce((e,t)=>e>t?e:t)})).toSorted((e,t)=>e.refused<t.refused?1:-1)}function P(){let t=u(D),n=e(),{period:r}=_(),{data:o,problem:l,again:f}=s(x,{since:r.from,until:r.to}),p=o?.ingestReport,m=(0,b.useMemo)(()=>N(p?.rows??[]),[p]),v=t.reasons;return(0,O.jsxs)(`section`,{className:`panel`,children:[(0,O.jsx)(`h2`,{children:t.refused}),l&&(0,O.jsx)(g,{problem:l,again:f}),!p&&!l&&(0,O.jsx)(d,{lines:4}),p&&m.length===0&&(0,O.jsx)(h,{title:t.nothingRefused,children:(0,O.jsx)(`p`,{children:t.nothingWhy})}),p&&m.length>0&&(0,O.jsx)(a,{caption:t.inAll(i(p.refused)),rows:m,keyOf:({reason:e})=>e,columns:[{name:`reason`,wide:!0,title:t.reason,cell:({reason:e})=>(0,O.jsxs)(`span`,{className:`refusal`,children:[v[e]??e,(0,O.jsx)(`code`,{children:e})]})},{name:`count`,title:t.count,figures:!0,cell:({refused:e})=>i(String(e))},{name:`sources`,title:t.source,cell:({sources:e})=>e.join(`, `)},{name:`accounts`,title:t.account,cell:({accounts:e})=>e.join(`, `)||`–`},{name:`last`,title:t.lastHour,cell:({last:e})=>(0,O.jsx)(c,{at:e})}]}),p&&n.accounts!==null&&(0,O.jsx)(`p`,{className:`quiet`,children:t.someAccounts}),p?.truncated&&(0,O.jsx)(`p`,{className:`quiet`,children:t.truncated})]})}var F=3;function I(){let e=u(D),t=v(),{data:n,problem:r,again:l}=s(T,{after:t.after}),d=n?.sources;if(r)return(0,O.jsx)(g,{problem:r,again:l});if(!d||d.totalCount===0)return null;let f=({failures:t,lagSeconds:n,everySeconds:r})=>t>0?{look:`badge-bad`,text:e.failing}:n>F*r?{look:`badge-warn`,text:e.late}:{look:`badge-good`,text:e.well};return(0,O.jsxs)(`section`,{className:`panel`,children:[(0,O.jsx)(a,{caption:e.pulled,rows:d.nodes,keyOf:({id:e})=>e,columns:[{name:`name`,title:e.name,cell:({name:e,format:t})=>(0,O.jsxs)(`span`,{title:t,children:[e,` `,(0,O.jsx)(`span`,{className:`quiet`,children:t})]})},{name:`state`,title:e.state,cell:e=>(0,O.jsx)(`span`,{className:`badge ${f(e).look}`,children:f(e).text})},{name:`address`,title:e.address,cell:({address:e})=>(0,O.jsx)(`code`,{children:e})},{name:`account`,title:e.pulledFor,cell:({account:e})=>e??`–`},{name:`newest`,title:e.lastRow,cell:({lastRowAt:e})=>e?(0,O.jsx)(c,{at:e}):`–`},{name:`lag`,title:e.lag,figures:!0,cell:({lagSeconds:e})=>o(e*1e3)},{name:`rows`,title:e.rows,figures:!0,cell:({rows:e})=>i(e)},{name:`refused`,title:e.count,figures:!0,cell:({refused:e})=>i(e)},{name:`failures`,title:e.failures,figures:!0,cell:({failures:e})=>i(e)},{name:`failure`,wide:!0,title:e.failure,cell:({failure:e})=>(0,O.jsx)(`span`,{className:`source-failure`,children:e??`–`})},{name:`due`,title:e.due,cell:({dueAt:e})=>(0,O.jsx)(c,{at:e})}]}),(0,O.jsx)(y,{pages:t,pageInfo:d.pageInfo})]})}var L={PENDING:`badge badge-warn`,DELIVERED:`badge badge-good`,FAILED:`badge badge-bad`};function R({webhook:e,name:t}){let n=u(D),r=v(e),{data:o,problem:l,waiting:f,again:p}=s(w,{webhook:e,after:r.after}),_=o?.webhookDeliveries;return l?(0,O.jsx)(g,{problem:l,again:p}):_?_.nodes.length===0?(0,O.jsx)(h,{title:n.noDeliveries}):(0,O.jsxs)(`div`,{"aria-busy":f,children:[(0,O.jsx)(a,{caption:n.deliveriesTo(t),rows:_.nodes,keyOf:({id:e})=>e,columns:[{name:`id`,title:n.id,cell:({id:e})=>(0,O.jsx)(m,{text:e,shown:`${e.slice(0,12)}…`})},{name:`event`,title:n.event,cell:({event:e})=>(0,O.jsx)(`code`,{children:e})},{name:`state`,title:n.state,cell:({state:e})=>(0,O.jsx)(`span`,{className:L[e],children:n.deliveryStates[e]})},{name:`made`,title:n.happened,cell:({createdAt:e})=>(0,O.jsx)(c,{at:e})},{name:`attempts`,title:n.attempts,figures:!0,cell:({attempts:e})=>i(e.length)},{name:`answer`,title:n.lastAnswer,cell:({attempts:e})=>(0,O.jsx)(z,{attempt:e.at(-1)})},{name:`next`,title:n.nextAttempt,cell:({nextAttemptAt:e})=>e?(0,O.jsx)(c,{at:e}):`–`},{name:`ended`,title:n.ended,cell:({endedAt:e})=>e?(0,O.jsx)(c,{at:e}):`–`}]}),(0,O.jsx)(y,{pages:r,pageInfo:_.pageInfo})]}):(0,O.jsx)(d,{lines:4})}function z({attempt:e}){if(e===void 0)return`–`;let{status:t,failure:n,durationMs:r}=e;return(0,O.jsxs)(O.Fragment,{children:[n??t??`–`,` `,r!=null&&(0,O.jsx)(`span`,{className:`quiet`,children:o(r)})]})}function B(){let t=u(D),{data:n,problem:r,again:i}=s(E,{}),[o,l]=(0,b.useState)(null),d=e(),p=n?.webhooks?.nodes??[],m=p.find(({id:e})=>e===o),h={name:`deliveries`,title:(0,O.jsx)(`span`,{className:`unseen`,children:t.deliveries}),cell:({id:e,name:n,url:r})=>(0,O.jsx)(f,{"aria-expanded":e===o,"aria-label":t.deliveriesTo(n??r),onClick:()=>l(e===o?null:e),children:t.deliveries})};return r?(0,O.jsx)(g,{problem:r,again:i}):p.length===0?null:(0,O.jsxs)(`section`,{className:`panel`,children:[(0,O.jsx)(a,{caption:t.webhooks,rows:p,keyOf:({id:e})=>e,columns:[{name:`name`,title:t.name,cell:({name:e})=>e??`–`},{name:`url`,title:t.address,cell:({url:e})=>(0,O.jsx)(`code`,{children:e})},{name:`events`,title:t.events,cell:({events:e})=>e.map(e=>(0,O.jsxs)(`code`,{children:[e,` `]},e))},{name:`state`,title:t.state,cell:({disabledAt:e,failure:n})=>(0,O.jsx)(`span`,{className:e?`badge badge-bad`:n?`badge badge-warn`:`badge badge-good`,children:e?t.disabled:n?t.failing:t.well})},{name:`failure`,title:t.failure,cell:({failure:e})=>e??`–`},{name:`made`,title:t.made,cell:({createdAt:e})=>(0,O.jsx)(c,{at:e})},...d.mayAsk(`webhookDeliveries`)?[h]:[]]}),m&&(0,O.jsx)(R,{webhook:m.id,name:m.name??m.url},m.id)]})}function V(){let t=e();return(0,O.jsxs)(`div`,{className:`page-body`,children:[(0,O.jsx)(A,{}),t.mayAsk(`sources`)&&(0,O.jsx)(I,{}),(0,O.jsx)(P,{}),t.mayAsk(`webhooks`)&&(0,O.jsx)(B,{})]})}export{V as default};