import{E as e,T as t,c as n,f as r,l as i,u as a,y as o}from"./index-BYTTLwGF.js";import{g as s,p as c,u as l}from"./zone-CRkJUK2W.js";import{a as u,n as d,r as f,t as p}from"./Moment-D7fNHVK9.js";import{t as m}from"./NoAnswer-TSzemv7B.js";var h=s(c(),1),g=o(`
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
`),_=o(`
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
`),v=o(`
  query Sums($filter: CallFilter!) {
    costs(filter: $filter) {
      coverage {
        to
        source
      }
    }
  }
`),y=o(`
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
`),b=e({health:`Health`,database:`Service and database`,answers:`Ready`,away:`Not ready`,keyring:`Keyring`,lost:(e,t)=>`${e} lost of ${t} keys`,purge:`Purge`,overdue:e=>`${e} rows overdue`,last:`last`,protections:`Protections`,missing:e=>`${e} missing`,sums:`Sums`,sources:{ROLLUPS:`From sums`,CALLS:`From single calls`,BOTH:`Sums, and calls at the ends`},upTo:`up to`,well:`well`,lookHere:`look here`,refused:`Refused on their way in`,nothingRefused:`Nothing was refused in this time.`,nothingWhy:`Counts are kept for 31 days, without what was in the rows.`,inAll:e=>`${e} calls and requests, by reason`,reason:`Reason`,count:`Refused`,source:`Source`,account:`Account of the key`,lastHour:`Last in the hour of`,truncated:`There are more hours than are counted here: choose a shorter time.`,reasons:{ROW_UNREADABLE:`A row that is no JSON object, or nests too deeply`,FIELD_MISSING:`A field is absent that a call cannot do without`,FIELD_INVALID:`A field that a call cannot do without is not as it should be`,ACCOUNT_UNUSABLE:`The account's name looks like a credential, or holds an e-mail address`,ACCOUNT_NOT_ALLOWED:`The key is bound to other accounts`,TOO_OLD:`Older than calls are kept`,TOO_NEW:`More than 24 hours ahead`,CORRECTION_INVALID:`A correction that does not fit its call`,CONFLICT:`Another call with this id is stored`,DATABASE_REFUSED:`The database refused the row`,NOT_STORED:`The database was away when the rest was stored already`,BODY_UNREADABLE:`A request in which no row can be made out`,BODY_TOO_LARGE:`A request that is larger than the limit`,BODY_INCOMPLETE:`A request whose connection ended before it did`,ENCODING_NOT_SUPPORTED:`A request that is packed by anything but gzip`,UNAUTHENTICATED:`A request without a valid key`,FORBIDDEN:`A request with a key that may not report`,QUEUE_FULL:`Too many calls waited`,UNAVAILABLE:`The database was away, or the service stopped`,INTERNAL:`Failed by our mistake`},webhooks:`Webhooks`,name:`Name`,address:`Address`,events:`Events`,state:`State`,disabled:`Disabled`,failing:`Failing`,failure:`Failure`,made:`Made`},{health:`健康状况`,database:`服务与数据库`,answers:`就绪`,away:`未就绪`,keyring:`密钥环`,lost:(e,t)=>`${t} 个密钥中丢失 ${e} 个`,purge:`清除`,overdue:e=>`逾期 ${e} 行`,last:`上次`,protections:`保护措施`,missing:e=>`缺失 ${e} 项`,sums:`汇总`,sources:{ROLLUPS:`来自汇总`,CALLS:`来自单次调用`,BOTH:`汇总,两端来自单次调用`},upTo:`截至`,well:`正常`,lookHere:`需关注`,refused:`被拒绝的上报`,nothingRefused:`此时间段内没有被拒绝的上报。`,nothingWhy:`计数保留 31 天,不含行的内容。`,inAll:e=>`共 ${e} 个调用和请求,按原因统计`,reason:`原因`,count:`拒绝数`,source:`来源`,account:`密钥所属账户`,lastHour:`最近一次所在小时`,truncated:`小时数超出此处的统计范围:请选择更短的时间。`,reasons:{ROW_UNREADABLE:`行不是 JSON 对象,或嵌套过深`,FIELD_MISSING:`缺少必需的字段`,FIELD_INVALID:`必需的字段不合规`,ACCOUNT_UNUSABLE:`账户名形似凭证,或包含电子邮件地址`,ACCOUNT_NOT_ALLOWED:`密钥绑定了其他账户`,TOO_OLD:`早于调用的保留期`,TOO_NEW:`超前 24 小时以上`,CORRECTION_INVALID:`更正与其调用不符`,CONFLICT:`已存在相同 ID 的其他调用`,DATABASE_REFUSED:`数据库拒绝了该行`,NOT_STORED:`其余部分已存储时数据库不可用`,BODY_UNREADABLE:`请求中无法识别任何行`,BODY_TOO_LARGE:`请求超过大小限制`,BODY_INCOMPLETE:`请求未完成连接即中断`,ENCODING_NOT_SUPPORTED:`请求使用了 gzip 以外的压缩`,UNAUTHENTICATED:`请求没有有效的密钥`,FORBIDDEN:`请求的密钥无权上报`,QUEUE_FULL:`等待的调用过多`,UNAVAILABLE:`数据库不可用,或服务正在停止`,INTERNAL:`因我们的错误而失败`},webhooks:`Webhooks 接收方`,name:`名称`,address:`地址`,events:`事件`,state:`状态`,disabled:`已停用`,failing:`投递失败`,failure:`失败原因`,made:`创建时间`}),x=l();function S(e){let[t,n]=(0,h.useState)(null);return(0,h.useEffect)(()=>{let e=new AbortController;return fetch(new URL(`../readyz`,document.baseURI),{signal:e.signal,credentials:`omit`}).then(e=>n(e.ok),()=>e.signal.aborted||n(!1)),()=>e.abort()},[e]),t}function C(){let e=t(b),n=r(),{period:i}=a(),o=S(i.to),{data:s,problem:c,again:l}=f(_,{purges:n.mayAsk(`purgeRuns`)},{wanted:n.mayAsk(`retention`)}),u=f(v,{filter:{startedAt:{gte:i.from,lt:i.to}}},{wanted:n.mayAsk(`costs`)}),d=s?.retention;return(0,x.jsxs)(`section`,{className:`panel`,children:[(0,x.jsx)(`h2`,{children:e.health}),c&&(0,x.jsx)(m,{problem:c,again:l}),(0,x.jsxs)(`dl`,{className:`figures-grid`,children:[(0,x.jsx)(T,{name:e.database,good:o,children:o===null?`…`:o?e.answers:e.away}),d&&(0,x.jsx)(w,{report:d}),u.data?.costs&&(0,x.jsxs)(T,{name:e.sums,good:!0,children:[e.sources[u.data.costs.coverage.source],(0,x.jsxs)(`small`,{children:[e.upTo,` `,(0,x.jsx)(p,{at:u.data.costs.coverage.to})]})]})]}),[...d?.missing??[],...d?.detached??[]].map(e=>(0,x.jsx)(`p`,{className:`operation-missing`,children:e},e))]})}function w({report:e}){let n=t(b),r=t=>e.classes.reduce((e,n)=>e+BigInt(t(n)),0n),i=r(e=>e.keys.lost),a=r(e=>e.overdue),o=e.lastPurge?.state===`FAILED`;return(0,x.jsxs)(x.Fragment,{children:[(0,x.jsx)(T,{name:n.keyring,good:i===0n,children:n.lost(u(String(i)),u(String(r(e=>e.keys.live))))}),(0,x.jsxs)(T,{name:n.purge,good:a===0n&&!o,children:[n.overdue(u(String(a))),e.lastPurge?.finishedAt&&(0,x.jsxs)(`small`,{children:[n.last,` `,(0,x.jsx)(p,{at:e.lastPurge.finishedAt})]}),e.lastPurge?.failure&&(0,x.jsx)(`small`,{children:e.lastPurge.failure})]}),(0,x.jsx)(T,{name:n.protections,good:e.missing.length===0&&e.detached.length===0,children:n.missing(u(e.missing.length+e.detached.length))})]})}function T({name:e,good:n,children:r}){let i=t(b);return(0,x.jsxs)(`div`,{className:`figure`,children:[(0,x.jsxs)(`dt`,{children:[e,` `,n!==null&&(0,x.jsx)(`span`,{className:n?`badge badge-good`:`badge badge-bad`,children:n?i.well:i.lookHere})]}),(0,x.jsx)(`dd`,{children:r})]})}function E(e){let t=new Map;for(let n of e)t.set(n.reason,[...t.get(n.reason)??[],n]);let n=e=>[...new Set(e.flatMap(e=>e??[]))].toSorted();return[...t].map(([e,t])=>({reason:e,refused:t.reduce((e,t)=>e+BigInt(t.refused),0n),sources:n(t.map(e=>e.source)),accounts:n(t.map(e=>e.account)),last:t.map(e=>e.hour).reduce((e,t)=>e>t?e:t)})).toSorted((e,t)=>e.refused<t.refused?1:-1)}function D(){let e=t(b),{period:r}=a(),{data:o,problem:s,again:c}=f(g,{since:r.from,until:r.to}),l=o?.ingestReport,_=(0,h.useMemo)(()=>E(l?.rows??[]),[l]),v=e.reasons;return(0,x.jsxs)(`section`,{className:`panel`,children:[(0,x.jsx)(`h2`,{children:e.refused}),s&&(0,x.jsx)(m,{problem:s,again:c}),!l&&!s&&(0,x.jsx)(n,{lines:4}),l&&_.length===0&&(0,x.jsx)(i,{title:e.nothingRefused,children:(0,x.jsx)(`p`,{children:e.nothingWhy})}),l&&_.length>0&&(0,x.jsx)(d,{caption:e.inAll(u(l.refused)),rows:_,keyOf:({reason:e})=>e,columns:[{name:`reason`,title:e.reason,cell:({reason:e})=>(0,x.jsxs)(`span`,{className:`refusal`,children:[v[e]??e,(0,x.jsx)(`code`,{children:e})]})},{name:`count`,title:e.count,figures:!0,cell:({refused:e})=>u(String(e))},{name:`sources`,title:e.source,cell:({sources:e})=>e.join(`, `)},{name:`accounts`,title:e.account,cell:({accounts:e})=>e.join(`, `)||`–`},{name:`last`,title:e.lastHour,cell:({last:e})=>(0,x.jsx)(p,{at:e})}]}),l?.truncated&&(0,x.jsx)(`p`,{className:`quiet`,children:e.truncated})]})}function O(){let e=t(b),{data:n,problem:r,again:i}=f(y,{}),a=n?.webhooks?.nodes??[];return r?(0,x.jsx)(m,{problem:r,again:i}):a.length===0?null:(0,x.jsx)(`section`,{className:`panel`,children:(0,x.jsx)(d,{caption:e.webhooks,rows:a,keyOf:({id:e})=>e,columns:[{name:`name`,title:e.name,cell:({name:e})=>e??`–`},{name:`url`,title:e.address,cell:({url:e})=>(0,x.jsx)(`code`,{children:e})},{name:`events`,title:e.events,cell:({events:e})=>e.map(e=>(0,x.jsxs)(`code`,{children:[e,` `]},e))},{name:`state`,title:e.state,cell:({disabledAt:t,failure:n})=>(0,x.jsx)(`span`,{className:t?`badge badge-bad`:n?`badge badge-warn`:`badge badge-good`,children:t?e.disabled:n?e.failing:e.well})},{name:`failure`,title:e.failure,cell:({failure:e})=>e??`–`},{name:`made`,title:e.made,cell:({createdAt:e})=>(0,x.jsx)(p,{at:e})}]})})}function k(){let e=r();return(0,x.jsxs)(`div`,{className:`page-body`,children:[(0,x.jsx)(C,{}),(0,x.jsx)(D,{}),e.mayAsk(`webhooks`)&&(0,x.jsx)(O,{})]})}export{k as default};