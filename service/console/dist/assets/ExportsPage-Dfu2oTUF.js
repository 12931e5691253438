import{c as e,g as t,p as n,u as r}from"./zone-CRkJUK2W.js";import{E as i,T as a,_ as o,b as s,c,f as l,h as u,l as d,m as f,s as p,u as m,x as h,y as g}from"./index-BYTTLwGF.js";import{a as _,n as v,r as y,s as b,t as x}from"./Moment-D7fNHVK9.js";import{s as S,t as C}from"./useFilter-UsESgUEk.js";import{t as w}from"./NoAnswer-TSzemv7B.js";import{t as T}from"./errorFilter-CNbYGkOP.js";var E=t(n(),1),D=g(`
  query Exports($after: String, $schedules: Boolean!) {
    exports(first: 25, after: $after) {
      nodes {
        id
        state
        kind
        format
        requestedAt
        rows
        totalRows
        bytes
        sha256
        expiresAt
        failure
        signedUrl
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    exportSchedules(first: 50) @include(if: $schedules) {
      nodes {
        id
        kind
        format
        every
        timeZone
        dueAt
        failure
      }
    }
  }
`),O=g(`
  query RowsOfExport($filter: CallFilter) {
    calls(filter: $filter, first: 1) {
      totalCount
    }
  }
`),k=g(`
  mutation MakeExport($input: CreateExportInput!) {
    createExport(input: $input) {
      export {
        id
      }
    }
  }
`),A=g(`
  mutation MakeSchedule($input: CreateExportScheduleInput!) {
    createExportSchedule(input: $input) {
      schedule {
        id
      }
    }
  }
`),j=g(`
  mutation CancelOne($id: ID!) {
    cancelExport(id: $id) {
      export {
        id
      }
    }
  }
`),M=g(`
  mutation DropSchedule($id: ID!) {
    deleteExportSchedule(id: $id) {
      schedule {
        id
      }
    }
  }
`),N=[`CALLS`,`COSTS`,`ERRORS`,`FOCUS`],P=[`CSV`,`NDJSON`,`PARQUET`];function F({kind:e,format:t,zip:n},{calls:r,errors:i,zone:a},o){let{startedAt:s,...c}=r,{occurredAt:l,...u}=i;return{kind:e,format:t,...n&&t!==`PARQUET`&&{compression:`GZIP`},...e===`ERRORS`?{errorFilter:o?{...u,...l&&{occurredAt:l}}:u}:{filter:o?{...c,...s&&{startedAt:s}}:c},...e===`COSTS`&&{bucket:`DAY`,timeZone:a}}}function I(e){let t=Number(e);return t<1e4?`${t} B`:t<1e7?`${(t/1e3).toFixed(1)} kB`:`${(t/1e6).toFixed(1)} MB`}function L(e,t){return e==null||t==null||t===`0`?null:Math.min(1,Number(e)/Number(t))}var R=i({ask:`Export what is filtered, for the time above`,kind:`Of what`,kinds:{CALLS:`Calls`,COSTS:`Costs`,ERRORS:`Errors`,FOCUS:`FOCUS 1.2`,EVIDENCE:`Evidence`},about:{CALLS:`One row per call.`,COSTS:`Sums by day, account, model, provider and status.`,ERRORS:`One row per failed call's error, masked as here.`,FOCUS:`Charges by day, account, model and token type, for tools of cost management.`},columns:`All columns that your role sees, whatever is shown on other pages; no limit on rows, four at a time.`,rowsOf:e=>`It will have ${e} rows.`,format:`Format`,rhythm:`How often`,rhythms:{ONCE:`Once`,DAY:`Each day`,MONTH:`Each month`},zip:`Compressed (gzip)`,make:`Export`,schedule:`Schedule`,none:`No exports yet.`,noneWhy:`What you ask for stands here for 30 days; its file, for as long as the operator keeps it.`,exports:`Exports`,older:`Older exports`,asked:`Asked for`,state:`State`,states:{QUEUED:`Waits`,RUNNING:`Is written`,READY:`Ready`,FAILED:`Failed`,CANCELLED:`Cancelled`,EXPIRED:`Gone`},rows:`Rows`,progress:`Rows written`,size:`Size`,digest:`SHA-256`,until:`File kept until`,failure:`Failure`,actions:`Actions`,download:`Download`,cancel:`Cancel`,remove:`Remove`,schedules:`Schedules`,zone:`Time zone`,due:`Next`,stop:`Stop`},{ask:`导出当前筛选与时间范围的数据`,kind:`内容`,kinds:{CALLS:`调用`,COSTS:`费用`,ERRORS:`错误`,FOCUS:`FOCUS 1.2`,EVIDENCE:`证据`},about:{CALLS:`每次调用一行。`,COSTS:`按天、账户、模型、提供方和状态汇总。`,ERRORS:`每个失败调用的错误一行,脱敏方式与此处相同。`,FOCUS:`按天、账户、模型和令牌类型的费用,供成本管理工具使用。`},columns:`包含您的角色可见的所有列,与其他页面显示的列无关;行数不限,同时最多四个。`,rowsOf:e=>`共 ${e} 行。`,format:`格式`,rhythm:`频率`,rhythms:{ONCE:`一次`,DAY:`每天`,MONTH:`每月`},zip:`压缩(gzip)`,make:`导出`,schedule:`定时导出`,none:`还没有导出。`,noneWhy:`您请求的导出会在此保留 30 天;文件的保留时间由运维人员决定。`,exports:`导出记录`,older:`更早的导出`,asked:`请求时间`,state:`状态`,states:{QUEUED:`等待中`,RUNNING:`写入中`,READY:`就绪`,FAILED:`失败`,CANCELLED:`已取消`,EXPIRED:`已过期`},rows:`行数`,progress:`已写入行数`,size:`大小`,digest:`SHA-256`,until:`文件保留至`,failure:`失败原因`,actions:`操作`,download:`下载`,cancel:`取消`,remove:`移除`,schedules:`定时导出`,zone:`时区`,due:`下次`,stop:`停止`}),z=r();function B({made:t}){let n=a(R),r=l(),i=h(),c=e(),{period:u}=m(),{filter:d,callFilter:g}=C(),[v,b]=(0,E.useState)(`CALLS`),[x,S]=(0,E.useState)(`CSV`),[w,D]=(0,E.useState)(!1),[j,M]=(0,E.useState)(`ONCE`),[I,L]=(0,E.useState)(!1),[B,V]=(0,E.useState)(null),H=y(O,{filter:g},{wanted:v===`CALLS`&&j===`ONCE`}),U=r.mayAsk(`createExportSchedule`)?[`ONCE`,`DAY`,`MONTH`]:[`ONCE`],W=async()=>{L(!0);let e=F({kind:v,format:x,zip:w},{calls:g,errors:T(d,u),zone:c},j===`ONCE`),{error:n}=j===`ONCE`?await i.mutation(k,{input:e}).toPromise():await i.mutation(A,{input:{every:j,timeZone:c,export:e}}).toPromise();V(s(n)),L(!1),t()};return(0,z.jsxs)(`form`,{className:`export-form`,onSubmit:e=>{e.preventDefault(),W()},children:[(0,z.jsx)(`h2`,{children:n.ask}),(0,z.jsxs)(`div`,{className:`export-choices`,children:[(0,z.jsx)(p,{label:n.kind,options:N.map(e=>({value:e,text:n.kinds[e]})),value:v,change:b}),(0,z.jsx)(p,{label:n.format,options:P.map(e=>({value:e,text:e})),value:x,change:S}),(0,z.jsx)(p,{label:n.rhythm,options:U.map(e=>({value:e,text:n.rhythms[e]})),value:j,change:M}),x!==`PARQUET`&&(0,z.jsxs)(`label`,{className:`export-zip`,children:[(0,z.jsx)(`input`,{type:`checkbox`,checked:w,onChange:e=>D(e.target.checked)}),n.zip]})]}),(0,z.jsxs)(`p`,{className:`quiet`,children:[n.about[v],` `,n.columns,` `,H.data?.calls&&v===`CALLS`&&j===`ONCE`?n.rowsOf(_(H.data.calls.totalCount)):``]}),B&&(0,z.jsx)(f,{problem:B,again:()=>void W()}),(0,z.jsx)(o,{kind:`primary`,type:`submit`,icon:`download`,busy:I,children:j===`ONCE`?n.make:n.schedule})]})}var V={QUEUED:`badge`,RUNNING:`badge badge-warn`,READY:`badge badge-good`,FAILED:`badge badge-bad`,CANCELLED:`badge`,EXPIRED:`badge`};function H({rows:e,cancel:t}){let n=a(R),r=n.kinds;return(0,z.jsx)(v,{caption:n.exports,rows:e,keyOf:({id:e})=>e,columns:[{name:`asked`,title:n.asked,cell:({requestedAt:e})=>(0,z.jsx)(x,{at:e})},{name:`kind`,title:n.kind,cell:({kind:e})=>r[e]??e},{name:`format`,title:n.format,cell:({format:e})=>e??`–`},{name:`state`,title:n.state,cell:({state:e,failure:t})=>(0,z.jsx)(`span`,{className:V[e],title:t??void 0,children:n.states[e]})},{name:`rows`,title:n.rows,figures:!0,cell:e=>(0,z.jsx)(U,{row:e})},{name:`size`,title:n.size,figures:!0,cell:({bytes:e})=>e==null?`–`:I(e)},{name:`sha`,title:n.digest,cell:({sha256:e})=>e==null?`–`:(0,z.jsx)(u,{text:e,shown:e.slice(7,19)})},{name:`until`,title:n.until,cell:({expiresAt:e})=>e?(0,z.jsx)(x,{at:e}):`–`},{name:`failure`,title:n.failure,cell:({failure:e})=>e??`–`},{name:`do`,title:(0,z.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:({id:e,state:r,signedUrl:i})=>(0,z.jsxs)(`span`,{className:`export-choices`,children:[i!=null&&(0,z.jsx)(`a`,{className:`button button-plain`,href:new URL(`..${i}`,document.baseURI).href,download:!0,children:n.download}),(r===`QUEUED`||r===`RUNNING`||r===`READY`)&&(0,z.jsx)(o,{kind:`quiet`,onClick:()=>t(e),children:r===`READY`?n.remove:n.cancel})]})}]})}function U({row:e}){let t=a(R);if(e.rows==null)return`–`;let n=e.state===`RUNNING`?L(e.rows,e.totalRows):null;return n===null?_(e.rows):(0,z.jsxs)(`span`,{className:`export-progress`,children:[(0,z.jsx)(`progress`,{value:n,max:1,"aria-label":t.progress}),` `,b(n)]})}function W({rows:e,drop:t}){let n=a(R),r=n.kinds;return(0,z.jsx)(v,{caption:n.schedules,rows:e,keyOf:({id:e})=>e,columns:[{name:`kind`,title:n.kind,cell:({kind:e})=>r[e]??e},{name:`format`,title:n.format,cell:({format:e})=>e??`–`},{name:`every`,title:n.rhythm,cell:({every:e})=>n.rhythms[e]},{name:`zone`,title:n.zone,cell:({timeZone:e})=>e},{name:`due`,title:n.due,cell:({dueAt:e})=>e?(0,z.jsx)(x,{at:e}):`–`},{name:`failure`,title:n.failure,cell:({failure:e})=>e??`–`},{name:`do`,title:(0,z.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:({id:e})=>(0,z.jsx)(o,{kind:`quiet`,onClick:()=>t(e),children:n.stop})}]})}var G=1500;function K(){let e=a(R),t=l(),n=h(),[r,i]=(0,E.useState)(null),[c,u]=(0,E.useState)(null),d=y(D,{after:r,schedules:t.mayAsk(`exportSchedules`)}),{data:p,problem:m,again:g}=d,_=p?.exports,v=p?.exportSchedules?.nodes??[],b=_?.nodes.some(({state:e})=>e===`QUEUED`||e===`RUNNING`)??!1;(0,E.useEffect)(()=>{if(!b)return;let e=setInterval(()=>document.hidden||g(),G);return()=>clearInterval(e)},[b,g]);let x=async(e,t)=>{let{error:r}=await n.mutation(e,{id:t}).toPromise();u(s(r)),g()};return(0,z.jsxs)(`div`,{className:`page-body`,children:[(0,z.jsx)(J,{made:g}),c&&(0,z.jsx)(f,{problem:c}),!_||m||_.nodes.length===0?(0,z.jsx)(q,{answer:d}):(0,z.jsx)(H,{rows:_.nodes,cancel:e=>void x(j,e)}),_?.pageInfo.hasNextPage&&(0,z.jsx)(o,{icon:`right`,onClick:()=>i(_.pageInfo.endCursor??null),children:e.older}),v.length>0&&(0,z.jsx)(W,{rows:v,drop:e=>void x(M,e)})]})}function q({answer:{data:e,problem:t,again:n}}){let r=a(R);return t?(0,z.jsx)(w,{problem:t,again:n}):e?.exports?(0,z.jsx)(d,{title:r.none,children:(0,z.jsx)(`p`,{children:r.noneWhy})}):(0,z.jsx)(c,{lines:5})}function J({made:e}){let t=l(),{filter:n,choose:r,bound:i}=C();return!t.mayAsk(`createExport`)||!t.mayAsk(`calls`)?null:(0,z.jsxs)(z.Fragment,{children:[(0,z.jsx)(S,{filter:n,choose:r,bound:i}),(0,z.jsx)(B,{made:e})]})}export{K as default};