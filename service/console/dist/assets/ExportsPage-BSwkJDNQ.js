import{f as e,h as t,l as n,v as r}from"./zone-DdNMMDrj.js";import{U as i,V as a,a as o,f as s,l as c,n as l,o as u,r as d,s as f,t as p}from"./Empty-BE6uPUMs.js";import{a as m,n as h,r as g,s as _,t as v}from"./Moment-CAywbV9J.js";import{r as y,t as b}from"./filter-YqHR_qm9.js";import{t as x}from"./NoAnswer-CzEAR1UQ.js";import{n as S,t as C}from"./Pager-bjDUOX3L.js";import{c as w,s as T}from"./index-B6gmz6Oo.js";import{n as E}from"./RangeContext-DvFpcMi6.js";import{t as D}from"./errorFilter-CKU75c0F.js";var O=r(t(),1),k=l(`
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
`),A=l(`
  query RowsOfExport($filter: CallFilter) {
    calls(filter: $filter, first: 1) {
      totalCount
    }
  }
`),j=l(`
  mutation MakeExport($input: CreateExportInput!) {
    createExport(input: $input) {
      export {
        id
      }
    }
  }
`),M=l(`
  mutation MakeSchedule($input: CreateExportScheduleInput!) {
    createExportSchedule(input: $input) {
      schedule {
        id
      }
    }
  }
`),N=l(`
  mutation CancelOne($id: ID!) {
    cancelExport(id: $id) {
      export {
        id
      }
    }
  }
`),P=l(`
  mutation DropSchedule($id: ID!) {
    deleteExportSchedule(id: $id) {
      schedule {
        id
      }
    }
  }
`),F=[`CALLS`,`COSTS`,`ERRORS`,`FOCUS`],I=[`CSV`,`NDJSON`,`PARQUET`];function L({kind:e,format:t,zip:n},{calls:r,errors:i,zone:a},o){let{startedAt:s,...c}=r,{occurredAt:l,...u}=i;return{kind:e,format:t,...n&&t!==`PARQUET`&&{compression:`GZIP`},...e===`ERRORS`?{errorFilter:o?{...u,...l&&{occurredAt:l}}:u}:{filter:o?{...c,...s&&{startedAt:s}}:c},...e===`COSTS`&&{bucket:`DAY`,timeZone:a}}}function R(e){let t=Number(e);return t<1e4?`${t} B`:t<1e7?`${(t/1e3).toFixed(1)} kB`:`${(t/1e6).toFixed(1)} MB`}function z(e,t){return e==null||t==null||t===`0`?null:Math.min(1,Number(e)/Number(t))}var B=i({ask:`Export what is filtered, for the time above`,kind:`Of what`,kinds:{CALLS:`Calls`,COSTS:`Costs`,ERRORS:`Errors`,FOCUS:`FOCUS 1.2`,EVIDENCE:`Evidence`},about:{CALLS:`One row per call.`,COSTS:`Sums by day, account, model, provider and status.`,ERRORS:`One row per failed call's error, masked as here.`,FOCUS:`Charges by day, account, model and token type, for tools of cost management.`},columns:`All columns that your role sees, whatever is shown on other pages; no limit on rows, four at a time.`,rowsOf:e=>e===`1`?`It will have 1 row.`:`It will have ${e} rows.`,format:`Format`,formats:{CSV:`CSV`,NDJSON:`NDJSON`,PARQUET:`Parquet`},rhythm:`How often`,rhythms:{ONCE:`Once`,DAY:`Each day`,MONTH:`Each month`},zip:`Compressed (gzip)`,make:`Export`,schedule:`Schedule`,none:`No exports yet.`,noneWhy:`What you ask for stands here for 30 days; its file, for as long as the operator keeps it.`,exports:`Exports`,asked:`Asked for`,state:`State`,states:{QUEUED:`Waits`,RUNNING:`Is written`,READY:`Ready`,FAILED:`Failed`,CANCELLED:`Cancelled`,EXPIRED:`Gone`},rows:`Rows`,progress:`Rows written`,size:`Size`,digest:`SHA-256`,until:`File kept until`,failure:`Failure`,actions:`Actions`,download:`Download`,cancel:`Cancel`,remove:`Remove`,schedules:`Schedules`,zone:`Time zone`,due:`Next`,stop:`Stop`},{ask:`导出当前筛选与时间范围的数据`,kind:`内容`,kinds:{CALLS:`调用`,COSTS:`费用`,ERRORS:`错误`,FOCUS:`FOCUS 1.2`,EVIDENCE:`证据`},about:{CALLS:`每次调用一行。`,COSTS:`按天、账户、模型、提供方和状态汇总。`,ERRORS:`每个失败调用的错误一行，脱敏方式与此处相同。`,FOCUS:`按天、账户、模型和 token 类型的费用，供成本管理工具使用。`},columns:`包含您的角色可见的所有列，与其他页面显示的列无关；行数不限，同时最多四个。`,rowsOf:e=>`共 ${e} 行。`,format:`格式`,formats:{CSV:`CSV`,NDJSON:`NDJSON`,PARQUET:`Parquet`},rhythm:`频率`,rhythms:{ONCE:`一次`,DAY:`每天`,MONTH:`每月`},zip:`压缩（gzip）`,make:`导出`,schedule:`定时导出`,none:`还没有导出。`,noneWhy:`您请求的导出会在此保留 30 天；文件的保留时间由运维人员决定。`,exports:`导出记录`,asked:`请求时间`,state:`状态`,states:{QUEUED:`等待中`,RUNNING:`写入中`,READY:`就绪`,FAILED:`失败`,CANCELLED:`已取消`,EXPIRED:`已过期`},rows:`行数`,progress:`已写入行数`,size:`大小`,digest:`SHA-256`,until:`文件保留至`,failure:`失败原因`,actions:`操作`,download:`下载`,cancel:`取消`,remove:`移除`,schedules:`定时导出`,zone:`时区`,due:`下次`,stop:`停止`}),V=e();function H({made:e}){let t=a(B),r=w(),i=s(),o=n(),{period:l}=E(),{filter:f,callFilter:p}=y(),[h,_]=(0,O.useState)(`CALLS`),[v,b]=(0,O.useState)(`CSV`),[x,S]=(0,O.useState)(!1),[C,k]=(0,O.useState)(`ONCE`),[N,P]=(0,O.useState)(!1),[R,z]=(0,O.useState)(null),H=g(A,{filter:p},{wanted:h===`CALLS`&&C===`ONCE`}),U=r.mayAsk(`createExportSchedule`)?[`ONCE`,`DAY`,`MONTH`]:[`ONCE`],W=async()=>{P(!0);let t=L({kind:h,format:v,zip:x},{calls:p,errors:D(f,l),zone:o},C===`ONCE`),{error:n}=C===`ONCE`?await i.mutation(j,{input:t}).toPromise():await i.mutation(M,{input:{every:C,timeZone:o,export:t}}).toPromise();z(d(n)),P(!1),e()};return(0,V.jsxs)(`form`,{className:`export-form`,onSubmit:e=>{e.preventDefault(),W()},children:[(0,V.jsx)(`h2`,{children:t.ask}),(0,V.jsxs)(`div`,{className:`export-choices`,children:[(0,V.jsx)(T,{label:t.kind,options:F.map(e=>({value:e,text:t.kinds[e]})),value:h,change:_}),(0,V.jsx)(T,{label:t.format,options:I.map(e=>({value:e,text:t.formats[e]})),value:v,change:b}),(0,V.jsx)(T,{label:t.rhythm,options:U.map(e=>({value:e,text:t.rhythms[e]})),value:C,change:k}),v!==`PARQUET`&&(0,V.jsxs)(`label`,{className:`export-zip`,children:[(0,V.jsx)(`input`,{type:`checkbox`,checked:x,onChange:e=>S(e.target.checked)}),t.zip]})]}),(0,V.jsxs)(`p`,{className:`quiet`,children:[t.about[h],` `,t.columns,` `,H.data?.calls&&h===`CALLS`&&C===`ONCE`?t.rowsOf(m(H.data.calls.totalCount)):``]}),R&&(0,V.jsx)(u,{problem:R,again:()=>void W()}),(0,V.jsx)(c,{kind:`primary`,type:`submit`,icon:`download`,busy:N,children:C===`ONCE`?t.make:t.schedule})]})}var U={QUEUED:`badge`,RUNNING:`badge badge-warn`,READY:`badge badge-good`,FAILED:`badge badge-bad`,CANCELLED:`badge`,EXPIRED:`badge`};function W({rows:e,cancel:t}){let n=a(B),r=n.kinds;return(0,V.jsx)(h,{caption:n.exports,rows:e,keyOf:({id:e})=>e,columns:[{name:`asked`,title:n.asked,cell:({requestedAt:e})=>(0,V.jsx)(v,{at:e})},{name:`kind`,title:n.kind,cell:({kind:e})=>r[e]??e},{name:`format`,title:n.format,cell:({format:e})=>e??`–`},{name:`state`,title:n.state,cell:({state:e,failure:t})=>(0,V.jsx)(`span`,{className:U[e],title:t??void 0,children:n.states[e]})},{name:`rows`,title:n.rows,figures:!0,cell:e=>(0,V.jsx)(G,{row:e})},{name:`size`,title:n.size,figures:!0,cell:({bytes:e})=>e==null?`–`:R(e)},{name:`sha`,title:n.digest,cell:({sha256:e})=>e==null?`–`:(0,V.jsx)(f,{text:e,shown:e.slice(7,19)})},{name:`until`,title:n.until,cell:({expiresAt:e})=>e?(0,V.jsx)(v,{at:e}):`–`},{name:`failure`,title:n.failure,cell:({failure:e})=>e??`–`},{name:`do`,wide:!0,title:(0,V.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:({id:e,state:r,signedUrl:i})=>(0,V.jsxs)(`span`,{className:`export-choices`,children:[i!=null&&(0,V.jsx)(`a`,{className:`button button-plain`,href:new URL(`..${i}`,document.baseURI).href,download:!0,children:n.download}),(r===`QUEUED`||r===`RUNNING`||r===`READY`)&&(0,V.jsx)(c,{kind:`quiet`,onClick:()=>t(e),children:r===`READY`?n.remove:n.cancel})]})}]})}function G({row:e}){let t=a(B);if(e.rows==null)return`–`;let n=e.state===`RUNNING`?z(e.rows,e.totalRows):null;return n===null?m(e.rows):(0,V.jsxs)(`span`,{className:`export-progress`,children:[(0,V.jsx)(`progress`,{value:n,max:1,"aria-label":t.progress}),` `,_(n)]})}function K({rows:e,drop:t}){let n=a(B),r=n.kinds;return(0,V.jsx)(h,{caption:n.schedules,rows:e,keyOf:({id:e})=>e,columns:[{name:`kind`,title:n.kind,cell:({kind:e})=>r[e]??e},{name:`format`,title:n.format,cell:({format:e})=>e??`–`},{name:`every`,title:n.rhythm,cell:({every:e})=>n.rhythms[e]},{name:`zone`,title:n.zone,cell:({timeZone:e})=>e},{name:`due`,title:n.due,cell:({dueAt:e})=>e?(0,V.jsx)(v,{at:e}):`–`},{name:`failure`,title:n.failure,cell:({failure:e})=>e??`–`},{name:`do`,title:(0,V.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:({id:e})=>(0,V.jsx)(c,{kind:`quiet`,onClick:()=>t(e),children:n.stop})}]})}var q=1500;function J(){let e=w(),t=s(),n=S(),[r,i]=(0,O.useState)(null),a=g(k,{after:n.after,schedules:e.mayAsk(`exportSchedules`)}),{data:o,problem:c,again:l}=a,f=o?.exports,p=o?.exportSchedules?.nodes??[],m=f?.nodes.some(({state:e})=>e===`QUEUED`||e===`RUNNING`)??!1;(0,O.useEffect)(()=>{if(!m)return;let e=setInterval(()=>document.hidden||l(),q);return()=>clearInterval(e)},[m,l]);let h=async(e,n)=>{let{error:r}=await t.mutation(e,{id:n}).toPromise();i(d(r)),l()};return(0,V.jsxs)(`div`,{className:`page-body`,children:[(0,V.jsx)(X,{made:l}),r&&(0,V.jsx)(u,{problem:r}),!f||c||f.nodes.length===0?(0,V.jsx)(Y,{answer:a}):(0,V.jsx)(W,{rows:f.nodes,cancel:e=>void h(N,e)}),(0,V.jsx)(C,{pages:n,pageInfo:f?.pageInfo}),p.length>0&&(0,V.jsx)(K,{rows:p,drop:e=>void h(P,e)})]})}function Y({answer:{data:e,problem:t,again:n}}){let r=a(B);return t?(0,V.jsx)(x,{problem:t,again:n}):e?.exports?(0,V.jsx)(p,{title:r.none,children:(0,V.jsx)(`p`,{children:r.noneWhy})}):(0,V.jsx)(o,{lines:5})}function X({made:e}){let t=w(),{filter:n,choose:r,bound:i}=y();return!t.mayAsk(`createExport`)||!t.mayAsk(`calls`)?null:(0,V.jsxs)(V.Fragment,{children:[(0,V.jsx)(b,{filter:n,choose:r,bound:i}),(0,V.jsx)(H,{made:e})]})}export{J as default};