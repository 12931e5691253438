import{f as e,h as t,l as n,v as r}from"./zone-DXQPei4g.js";import{K as i,U as a,V as o,a as s,f as c,l,n as u,o as d,r as f,s as p,t as m}from"./Empty-BfgApZrn.js";import{a as h,n as g,r as _,s as v,t as y}from"./Moment-CML5bCIn.js";import{t as b}from"./FilterBar-Dk29U5qP.js";import{t as x}from"./NoAnswer-eAnr6-3V.js";import{n as S,t as C}from"./Pager-gJRbhRL-.js";import{c as w,s as T}from"./index-CkhWhEJl.js";import{a as E}from"./useFacets-lnNUiX4F.js";import{n as D}from"./RangeContext-CAghGEn1.js";import{t as O}from"./errorFilter-NXt2vHs-.js";var k=r(t(),1),A=u(`
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
`),j=u(`
  query RowsOfExport($filter: CallFilter) {
    calls(filter: $filter, first: 1) {
      totalCount
    }
  }
`),M=u(`
  mutation MakeExport($input: CreateExportInput!) {
    createExport(input: $input) {
      export {
        id
      }
    }
  }
`),N=u(`
  mutation MakeSchedule($input: CreateExportScheduleInput!) {
    createExportSchedule(input: $input) {
      schedule {
        id
      }
    }
  }
`),P=u(`
  mutation CancelOne($id: ID!) {
    cancelExport(id: $id) {
      export {
        id
      }
    }
  }
`),F=u(`
  mutation DropSchedule($id: ID!) {
    deleteExportSchedule(id: $id) {
      schedule {
        id
      }
    }
  }
`),I=[`CALLS`,`COSTS`,`ERRORS`,`FOCUS`],L=[`CSV`,`NDJSON`,`PARQUET`];function R({kind:e,format:t,zip:n},{calls:r,errors:i,zone:a},o){let{startedAt:s,...c}=r,{occurredAt:l,...u}=i;return{kind:e,format:t,...n&&t!==`PARQUET`&&{compression:`GZIP`},...e===`ERRORS`?{errorFilter:o?{...u,...l&&{occurredAt:l}}:u}:{filter:o?{...c,...s&&{startedAt:s}}:c},...e===`COSTS`&&{bucket:`DAY`,timeZone:a}}}function z(e){let t=Number(e);return t<1e4?`${t} B`:t<1e7?`${(t/1e3).toFixed(1)} kB`:`${(t/1e6).toFixed(1)} MB`}function B(e,t){return e==null||t==null||t===`0`?null:Math.min(1,Number(e)/Number(t))}var V=a({ask:`Export what is filtered, for the time above`,kind:`Of what`,kinds:{CALLS:`Calls`,COSTS:`Costs`,ERRORS:`Errors`,FOCUS:`FOCUS 1.2`,EVIDENCE:`Evidence`},about:{CALLS:`One row per call.`,COSTS:`Sums by day, account, model, provider and status.`,ERRORS:`One row per failed call's error, masked as here.`,FOCUS:`Charges by day, account, model and token type, for tools of cost management.`},columns:`All columns that your role sees, whatever is shown on other pages; no limit on rows, four at a time.`,rowsOf:e=>e===`1`?`It will have 1 row.`:`It will have ${e} rows.`,format:`Format`,formats:{CSV:`CSV`,NDJSON:`NDJSON`,PARQUET:`Parquet`},rhythm:`How often`,rhythms:{ONCE:`Once`,DAY:`Each day`,MONTH:`Each month`},zip:`Compressed (gzip)`,make:`Export`,schedule:`Schedule`,none:`No exports yet.`,noneWhy:`What you ask for stands here for 30 days; its file, for as long as the operator keeps it.`,exports:`Exports`,asked:`Asked for`,state:`State`,states:{QUEUED:`Waits`,RUNNING:`Is written`,READY:`Ready`,FAILED:`Failed`,CANCELLED:`Cancelled`,EXPIRED:`Gone`},rows:`Rows`,progress:`Rows written`,size:`Size`,digest:`SHA-256`,until:`File kept until`,failure:`Failure`,actions:`Actions`,download:`Download`,cancel:`Cancel`,remove:`Remove`,schedules:`Schedules`,zone:`Time zone`,due:`Next`,stop:`Stop`},{ask:`导出当前筛选与时间范围的数据`,kind:`内容`,kinds:{CALLS:`调用`,COSTS:`费用`,ERRORS:`错误`,FOCUS:`FOCUS 1.2`,EVIDENCE:`证据`},about:{CALLS:`每次调用一行。`,COSTS:`按天、账户、模型、提供方和状态汇总。`,ERRORS:`每个失败调用的错误一行，脱敏方式与此处相同。`,FOCUS:`按天、账户、模型和 token 类型的费用，供成本管理工具使用。`},columns:`包含您的角色可见的所有列，与其他页面显示的列无关；行数不限，同时最多四个。`,rowsOf:e=>`共 ${e} 行。`,format:`格式`,formats:{CSV:`CSV`,NDJSON:`NDJSON`,PARQUET:`Parquet`},rhythm:`频率`,rhythms:{ONCE:`一次`,DAY:`每天`,MONTH:`每月`},zip:`压缩（gzip）`,make:`导出`,schedule:`定时导出`,none:`还没有导出。`,noneWhy:`您请求的导出会在此保留 30 天；文件的保留时间由运维人员决定。`,exports:`导出记录`,asked:`请求时间`,state:`状态`,states:{QUEUED:`等待中`,RUNNING:`写入中`,READY:`就绪`,FAILED:`失败`,CANCELLED:`已取消`,EXPIRED:`已过期`},rows:`行数`,progress:`已写入行数`,size:`大小`,digest:`SHA-256`,until:`文件保留至`,failure:`失败原因`,actions:`操作`,download:`下载`,cancel:`取消`,remove:`移除`,schedules:`定时导出`,zone:`时区`,due:`下次`,stop:`停止`}),H=e();function U({made:e}){let t=o(V),r=w(),a=c(),s=n(),{period:u}=D(),{filter:p,callFilter:m}=E(),[g]=i(),[v,y]=(0,k.useState)(I.find(e=>e===g.get(`kind`))??`CALLS`),[b,x]=(0,k.useState)(`CSV`),[S,C]=(0,k.useState)(!1),[A,P]=(0,k.useState)(`ONCE`),[F,z]=(0,k.useState)(!1),[B,U]=(0,k.useState)(null),W=_(j,{filter:m},{wanted:v===`CALLS`&&A===`ONCE`}),G=r.mayAsk(`createExportSchedule`)?[`ONCE`,`DAY`,`MONTH`]:[`ONCE`],K=async()=>{z(!0);let t=R({kind:v,format:b,zip:S},{calls:m,errors:O(p,u),zone:s},A===`ONCE`),{error:n}=A===`ONCE`?await a.mutation(M,{input:t}).toPromise():await a.mutation(N,{input:{every:A,timeZone:s,export:t}}).toPromise();U(f(n)),z(!1),e()};return(0,H.jsxs)(`form`,{className:`export-form`,onSubmit:e=>{e.preventDefault(),K()},children:[(0,H.jsx)(`h2`,{children:t.ask}),(0,H.jsxs)(`div`,{className:`export-choices`,children:[(0,H.jsx)(T,{label:t.kind,options:I.map(e=>({value:e,text:t.kinds[e]})),value:v,change:y}),(0,H.jsx)(T,{label:t.format,options:L.map(e=>({value:e,text:t.formats[e]})),value:b,change:x}),(0,H.jsx)(T,{label:t.rhythm,options:G.map(e=>({value:e,text:t.rhythms[e]})),value:A,change:P}),b!==`PARQUET`&&(0,H.jsxs)(`label`,{className:`export-zip`,children:[(0,H.jsx)(`input`,{type:`checkbox`,checked:S,onChange:e=>C(e.target.checked)}),t.zip]})]}),(0,H.jsxs)(`p`,{className:`quiet`,children:[t.about[v],` `,t.columns,` `,W.data?.calls&&v===`CALLS`&&A===`ONCE`?t.rowsOf(h(W.data.calls.totalCount)):``]}),B&&(0,H.jsx)(d,{problem:B,again:()=>void K()}),(0,H.jsx)(l,{kind:`primary`,type:`submit`,icon:`download`,busy:F,children:A===`ONCE`?t.make:t.schedule})]})}var W={QUEUED:`badge`,RUNNING:`badge badge-warn`,READY:`badge badge-good`,FAILED:`badge badge-bad`,CANCELLED:`badge`,EXPIRED:`badge`};function G({rows:e,cancel:t}){let n=o(V),r=n.kinds;return(0,H.jsx)(g,{caption:n.exports,rows:e,keyOf:({id:e})=>e,columns:[{name:`asked`,title:n.asked,cell:({requestedAt:e})=>(0,H.jsx)(y,{at:e})},{name:`kind`,title:n.kind,cell:({kind:e})=>r[e]??e},{name:`format`,title:n.format,cell:({format:e})=>e??`–`},{name:`state`,title:n.state,cell:({state:e,failure:t})=>(0,H.jsx)(`span`,{className:W[e],title:t??void 0,children:n.states[e]})},{name:`rows`,title:n.rows,figures:!0,cell:e=>(0,H.jsx)(K,{row:e})},{name:`size`,title:n.size,figures:!0,cell:({bytes:e})=>e==null?`–`:z(e)},{name:`sha`,title:n.digest,cell:({sha256:e})=>e==null?`–`:(0,H.jsx)(p,{text:e,shown:e.slice(7,19)})},{name:`until`,title:n.until,cell:({expiresAt:e})=>e?(0,H.jsx)(y,{at:e}):`–`},{name:`failure`,title:n.failure,cell:({failure:e})=>e??`–`},{name:`do`,wide:!0,title:(0,H.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:({id:e,state:r,signedUrl:i})=>(0,H.jsxs)(`span`,{className:`export-choices`,children:[i!=null&&(0,H.jsx)(`a`,{className:`button button-plain`,href:new URL(`..${i}`,document.baseURI).href,download:!0,children:n.download}),(r===`QUEUED`||r===`RUNNING`||r===`READY`)&&(0,H.jsx)(l,{kind:`quiet`,onClick:()=>t(e),children:r===`READY`?n.remove:n.cancel})]})}]})}function K({row:e}){let t=o(V);if(e.rows==null)return`–`;let n=e.state===`RUNNING`?B(e.rows,e.totalRows):null;return n===null?h(e.rows):(0,H.jsxs)(`span`,{className:`export-progress`,children:[(0,H.jsx)(`progress`,{value:n,max:1,"aria-label":t.progress}),` `,v(n)]})}function q({rows:e,drop:t}){let n=o(V),r=n.kinds;return(0,H.jsx)(g,{caption:n.schedules,rows:e,keyOf:({id:e})=>e,columns:[{name:`kind`,title:n.kind,cell:({kind:e})=>r[e]??e},{name:`format`,title:n.format,cell:({format:e})=>e??`–`},{name:`every`,title:n.rhythm,cell:({every:e})=>n.rhythms[e]},{name:`zone`,title:n.zone,cell:({timeZone:e})=>e},{name:`due`,title:n.due,cell:({dueAt:e})=>e?(0,H.jsx)(y,{at:e}):`–`},{name:`failure`,title:n.failure,cell:({failure:e})=>e??`–`},{name:`do`,title:(0,H.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:({id:e})=>(0,H.jsx)(l,{kind:`quiet`,onClick:()=>t(e),children:n.stop})}]})}var J=1500;function Y(){let e=w(),t=c(),n=S(),[r,i]=(0,k.useState)(null),a=_(A,{after:n.after,schedules:e.mayAsk(`exportSchedules`)}),{data:o,problem:s,again:l}=a,u=o?.exports,p=o?.exportSchedules?.nodes??[],m=u?.nodes.some(({state:e})=>e===`QUEUED`||e===`RUNNING`)??!1;(0,k.useEffect)(()=>{if(!m)return;let e=setInterval(()=>document.hidden||l(),J);return()=>clearInterval(e)},[m,l]);let h=async(e,n)=>{let{error:r}=await t.mutation(e,{id:n}).toPromise();i(f(r)),l()};return(0,H.jsxs)(`div`,{className:`page-body`,children:[(0,H.jsx)(Z,{made:l}),r&&(0,H.jsx)(d,{problem:r}),!u||s||u.nodes.length===0?(0,H.jsx)(X,{answer:a}):(0,H.jsx)(G,{rows:u.nodes,cancel:e=>void h(P,e)}),(0,H.jsx)(C,{pages:n,pageInfo:u?.pageInfo}),p.length>0&&(0,H.jsx)(q,{rows:p,drop:e=>void h(F,e)})]})}function X({answer:{data:e,problem:t,again:n}}){let r=o(V);return t?(0,H.jsx)(x,{problem:t,again:n}):e?.exports?(0,H.jsx)(m,{title:r.none,children:(0,H.jsx)(`p`,{children:r.noneWhy})}):(0,H.jsx)(s,{lines:5})}function Z({made:e}){let t=w();return!t.mayAsk(`createExport`)||!t.mayAsk(`calls`)?null:(0,H.jsxs)(H.Fragment,{children:[(0,H.jsx)(b,{}),(0,H.jsx)(U,{made:e})]})}export{Y as default};