import{J as e,K as t,U as n,V as r,X as i,a,f as o,l as s,n as c,o as l,r as u,s as d,t as f}from"./Empty-BfgApZrn.js";import{a as p,n as m,r as h,s as g,t as _}from"./Moment-CML5bCIn.js";import{t as v}from"./NoAnswer-eAnr6-3V.js";import{n as y,t as b}from"./Pager-gJRbhRL-.js";import{n as x,r as S,s as C,t as w}from"./decimal-DqOftDZW.js";import{f as T,h as E,v as D}from"./zone-DXQPei4g.js";import{t as O}from"./ask-DlSeFyLX.js";var k=c(`
  query Reconciliations($after: String) {
    reconciliations(first: 20, after: $after) {
      nodes {
        id
        name
        requestedBy
        accounts
        firstDay
        lastDay
        timeZone
        madeAt
        byIds
        differing
        failure
        totals {
          currency
          theirs
          ours
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount
    }
  }
`),A=c(`
  query OneReconciliation($id: ID!, $kinds: [DifferenceKind!], $first: Int!, $after: String) {
    node(id: $id) {
      ... on Reconciliation {
        id
        name
        requestedBy
        accounts
        layout
        firstDay
        lastDay
        timeZone
        tolerance
        madeAt
        byIds
        rows
        calls
        differing
        failure
        unread {
          reason
          rows
        }
        totals {
          currency
          theirs
          ours
        }
        kinds {
          kind
          calls
        }
        differences(kinds: $kinds, first: $first, after: $after) {
          nodes {
            kind
            day
            model
            currency
            calls
            theirs
            ours
            difference
            callIds
          }
          pageInfo {
            hasNextPage
            endCursor
          }
          totalCount
        }
      }
    }
  }
`),j=n({none:`Nothing was compared yet.`,noneWhy:`Compare an invoice, a provider's export or a gateway's own log with what is recorded here; with CALLEDGER_RECONCILE_AT each pulled gateway is compared every night.`,made:(e,t)=>t===1?`1 comparison`:`${e} comparisons`,with:`Compared with`,days:`Days`,accounts:`Accounts`,everybody:`everybody's`,differing:`Differing`,agrees:`none`,failed:`not compared`,totals:`Theirs / ours`,compared:`Compared by`,byIds:`single calls`,bySums:`sums by day`,madeAt:`Made`,madeBy:`By`,by:{cli:`command`,nightly:`every night`},gone:`There is no such comparison: it is past its window, or of other accounts.`,report:e=>`Comparison with ${e}`,close:`Close`,rows:`Rows of theirs`,calls:`Calls of ours`,layout:`Layout`,tolerance:`Tolerance`,unread:(e,t)=>`${e===`1`?`1 row`:`${e} rows`} could not be read: ${t}`,nothingDiffers:`Nothing differs.`,noneOfThese:`Nothing differs in these ways.`,kinds:`Ways to differ`,kind:{MISSING_HERE:`Billed, not recorded`,MISSING_THERE:`Recorded, not billed`,DOUBLED_HERE:`Recorded twice`,DOUBLED_THERE:`Billed twice`,PRICED_DIFFERENTLY:`Priced differently`,UNPRICED:`Recorded without a price`,REFUSED:`Billed, refused here`},differences:e=>e===`1`?`1 difference`:`${e} differences`,day:`Day`,kindOf:`Difference`,model:`Model`,callsOf:`Calls`,rowsOf:`Rows`,theirs:`Theirs`,ours:`Ours`,difference:`Theirs less ours`,currency:`Currency`,someCalls:`Some of the calls`,openCall:e=>`Open the call ${e}`,reading:(e,t)=>`${e} of ${t} read`},{none:`尚未进行过对账。`,noneWhy:`可将发票、供应商导出或网关自身的日志与此处的记录进行比较；设置 CALLEDGER_RECONCILE_AT 后，每晚会比较每个被拉取的网关。`,made:e=>`${e} 次对账`,with:`对账对象`,days:`日期`,accounts:`账户`,everybody:`所有账户`,differing:`差异`,agrees:`无`,failed:`未比较`,totals:`对方 / 我方`,compared:`比较方式`,byIds:`逐个调用`,bySums:`按日汇总`,madeAt:`时间`,madeBy:`来源`,by:{cli:`命令`,nightly:`每晚`},gone:`没有此对账：已超过保留期限，或属于其他账户。`,report:e=>`与 ${e} 的对账`,close:`关闭`,rows:`对方行数`,calls:`我方调用数`,layout:`格式`,tolerance:`容差`,unread:(e,t)=>`${e} 行无法读取：${t}`,nothingDiffers:`没有差异。`,noneOfThese:`没有此类差异。`,kinds:`差异类型`,kind:{MISSING_HERE:`已计费，未记录`,MISSING_THERE:`已记录，未计费`,DOUBLED_HERE:`重复记录`,DOUBLED_THERE:`重复计费`,PRICED_DIFFERENTLY:`价格不同`,UNPRICED:`记录无价格`,REFUSED:`已计费，此处拒绝`},differences:e=>`${e} 项差异`,day:`日期`,kindOf:`差异`,model:`模型`,callsOf:`调用数`,rowsOf:`行数`,theirs:`对方`,ours:`我方`,difference:`对方减我方`,currency:`币种`,someCalls:`部分调用`,openCall:e=>`打开调用 ${e}`,reading:(e,t)=>`已读取 ${e} / ${t}`}),M=T();function N({totals:e}){let t=r(j);return e.length===0?`–`:(0,M.jsx)(`ul`,{className:`recon-totals`,children:e.map(({currency:e,theirs:n,ours:r})=>(0,M.jsxs)(`li`,{title:`${t.theirs} ${S(n)}, ${t.ours} ${S(r)} ${e}`,children:[C(n),` / `,C(r),` `,(0,M.jsx)(`span`,{className:`amount-currency`,children:e}),w(n,r)!==0&&(0,M.jsxs)(`span`,{className:`recon-off`,children:[` `,P(x(n,r))]})]},e))})}function P(e){return w(e,`0`)>0?`+${C(e)}`:C(e)}var F=`calledger reconcile november.csv`;function I({open:e,show:t}){let n=r(j),i=y(),{data:o,problem:s,waiting:c,again:l}=h(k,{after:i.after}),u=o?.reconciliations;return s?(0,M.jsx)(v,{problem:s,again:l}):u?u.nodes.length===0?(0,M.jsxs)(f,{title:n.none,children:[(0,M.jsx)(`p`,{children:n.noneWhy}),(0,M.jsx)(`pre`,{className:`mono`,children:F})]}):(0,M.jsxs)(`section`,{className:`panel`,"aria-busy":c,children:[(0,M.jsx)(m,{caption:n.made(p(u.totalCount),u.totalCount),rows:u.nodes,keyOf:({id:e})=>e,columns:[{name:`name`,title:n.with,cell:({id:n,name:r})=>(0,M.jsx)(`button`,{type:`button`,className:`linkish recon-name`,"aria-expanded":n===e,onClick:()=>t(n===e?null:n),children:r})},{name:`days`,title:n.days,cell:e=>(0,M.jsx)(L,{...e})},{name:`accounts`,title:n.accounts,cell:({accounts:e})=>e?.join(`, `)??n.everybody},{name:`differing`,title:n.differing,figures:!0,cell:e=>(0,M.jsx)(R,{...e})},{name:`totals`,title:n.totals,cell:({totals:e})=>(0,M.jsx)(N,{totals:e})},{name:`how`,title:n.compared,cell:({byIds:e,failure:t})=>t==null?e?n.byIds:n.bySums:`–`},{name:`made`,title:n.madeAt,cell:({madeAt:e})=>(0,M.jsx)(_,{at:e})},{name:`by`,title:n.madeBy,cell:({requestedBy:e})=>n.by[e]??e}]}),(0,M.jsx)(b,{pages:i,pageInfo:u.pageInfo})]}):(0,M.jsx)(a,{lines:6})}function L({firstDay:e,lastDay:t,timeZone:n}){return(0,M.jsxs)(`span`,{title:n,children:[e===t?e:`${e} – ${t}`,` `,(0,M.jsx)(`span`,{className:`quiet`,children:n})]})}function R({differing:e,failure:t}){let n=r(j);return t==null?e===0?(0,M.jsx)(`span`,{className:`badge badge-good`,children:n.agrees}):(0,M.jsx)(`span`,{className:`badge badge-bad`,children:p(e)}):(0,M.jsx)(`span`,{className:`badge badge-warn`,title:t,children:n.failed})}function z({differences:t,total:n,byIds:a}){let o=r(j);return(0,M.jsx)(m,{caption:o.differences(p(n)),rows:t,keyOf:e=>[e.kind,e.day,e.model,e.currency].join(`
`),columns:[{name:`day`,title:o.day,cell:({day:e})=>e},{name:`kind`,title:o.kindOf,cell:({kind:e})=>o.kind[e]},{name:`model`,title:o.model,cell:({model:e})=>e||`–`},{name:`calls`,title:a?o.callsOf:o.rowsOf,figures:!0,cell:({calls:e})=>p(e)},{name:`theirs`,title:o.theirs,figures:!0,cell:({theirs:e})=>(0,M.jsx)(`span`,{title:S(e),children:C(e)})},{name:`ours`,title:o.ours,figures:!0,cell:({ours:e})=>(0,M.jsx)(`span`,{title:S(e),children:C(e)})},{name:`difference`,title:o.difference,figures:!0,cell:e=>(0,M.jsx)(`strong`,{title:S(e.difference),children:P(e.difference)})},{name:`currency`,title:o.currency,cell:({currency:e})=>e||`–`},{name:`ids`,title:o.someCalls,cell:({callIds:t})=>t==null||t.length===0?`–`:t.map((t,n)=>(0,M.jsx)(i,{href:e(`logs`,{range:`90d`,call:t}),className:`recon-call`,title:t,"aria-label":o.openCall(t),children:n+1},t))}]})}var B=D(E(),1);function V(e){let t=e?.node;return t!=null&&`differences`in t?t:null}var H=[`kind`,`day`,`model`,`currency`,`calls`,`theirs`,`ours`,`difference`,`callIds`],U=/^[=+\-@\t\r]/;function W(e){let t=e.map(e=>H.map(t=>G(t,e[t])).join(`,`));return[H.join(`,`),...t,``].join(`\r
`)}function G(e,t){let n=Array.isArray(t)?t.join(` `):String(t??``),r=(e===`model`||e===`currency`)&&U.test(n)?`'${n}`:n;return/[",\r\n]/.test(r)?`"${r.replaceAll(`"`,`""`)}"`:r}function K({differences:e,...t},n){return`${JSON.stringify({...t,differences:n},null,1)}\n`}function q({name:e,firstDay:t,lastDay:n},r){return`reconciliation-${e.replaceAll(/[^\p{L}\p{N}._-]+/gu,`-`).replaceAll(/^[-.]+|[-.]+$/g,``).slice(0,60)||`report`}-${t}-${n}.${r}`}var J=200;function Y({report:e,kinds:t}){let n=r(j),i=o(),[a,c]=(0,B.useState)(null),[d,f]=(0,B.useState)(null),m=async()=>{let n=[],r=null;do{let a={id:e.id,first:J,after:r,kinds:t.length>0?[...t]:null},{data:o,error:s}=await O(i,A,a,new AbortController().signal),l=u(s);if(l!==null)return l;let d=V(o)?.differences;n.push(...d?.nodes??[]),c(n.length),r=d?.pageInfo.hasNextPage?d.pageInfo.endCursor??null:null}while(r!==null);return n},h=async t=>{c(0);let n=await m();c(null),f(Array.isArray(n)?null:n),Array.isArray(n)&&X(q(e,t),t===`csv`?W(n):K(e,n),t)};return(0,M.jsxs)(`span`,{className:`recon-files`,children:[a!==null&&(0,M.jsx)(`span`,{role:`status`,className:`quiet`,children:n.reading(p(a),p(e.differences.totalCount))}),[`csv`,`json`].map(e=>(0,M.jsx)(s,{icon:`download`,disabled:a!==null,onClick:()=>void h(e),children:e.toUpperCase()},e)),d!==null&&(0,M.jsx)(l,{problem:d})]})}function X(e,t,n){let r=n===`csv`?`text/csv;charset=utf-8`:`application/json`,i=URL.createObjectURL(new Blob([t],{type:r}));Object.assign(document.createElement(`a`),{href:i,download:e}).click(),URL.revokeObjectURL(i)}function Z({kinds:e,chosen:t,choose:n}){let i=r(j);return(0,M.jsxs)(`fieldset`,{className:`recon-kinds`,children:[(0,M.jsx)(`legend`,{className:`unseen`,children:i.kinds}),e.map(({kind:e,calls:r})=>(0,M.jsxs)(`label`,{children:[(0,M.jsx)(`input`,{type:`checkbox`,checked:t.includes(e),onChange:({target:r})=>n(r.checked?[...t,e]:t.filter(t=>t!==e))}),i.kind[e],` `,(0,M.jsx)(`span`,{className:`badge`,children:p(r)})]},e))]})}var Q=50;function $({id:e,kinds:t,choose:n,close:i}){let o=r(j),c=t.filter(e=>Object.hasOwn(o.kind,e)),l=y(c.join()),{data:u,problem:m,waiting:g,again:_}=h(A,{id:e,first:Q,after:l.after,kinds:c.length>0?c:null}),x=V(u);return m?(0,M.jsx)(v,{problem:m,again:_}):u===void 0?(0,M.jsx)(a,{lines:6}):x===null?(0,M.jsx)(f,{title:o.gone}):(0,M.jsxs)(`section`,{className:`panel recon`,"aria-busy":g,"aria-label":o.report(x.name),children:[(0,M.jsxs)(`div`,{className:`panel-head`,children:[(0,M.jsx)(`h2`,{children:x.name}),(0,M.jsx)(d,{text:x.id}),(0,M.jsx)(s,{kind:`quiet`,icon:`close`,"aria-label":o.close,onClick:i})]}),(0,M.jsx)(ee,{report:x}),x.failure!=null&&(0,M.jsx)(`p`,{className:`recon-failure`,children:x.failure}),x.unread.length>0&&(0,M.jsx)(`ul`,{className:`recon-failure`,children:x.unread.map(({reason:e,rows:t})=>(0,M.jsx)(`li`,{children:o.unread(p(t),e)},e))}),x.kinds.length>0&&(0,M.jsxs)(`div`,{className:`recon-bar`,children:[(0,M.jsx)(Z,{kinds:x.kinds,chosen:c,choose:n}),(0,M.jsx)(Y,{report:x,kinds:c})]}),x.differences.nodes.length>0?(0,M.jsx)(z,{differences:x.differences.nodes,total:x.differences.totalCount,byIds:x.byIds}):x.failure==null&&(0,M.jsx)(`p`,{className:`quiet`,children:x.differing===0?o.nothingDiffers:o.noneOfThese}),(0,M.jsx)(b,{pages:l,pageInfo:x.differences.pageInfo})]})}function ee({report:e}){let t=r(j),n=[{name:t.days,shown:(0,M.jsx)(L,{...e})},{name:t.rows,shown:p(e.rows)},{name:t.calls,shown:p(e.calls)},{name:t.differing,shown:p(e.differing)},{name:t.totals,shown:(0,M.jsx)(N,{totals:e.totals})},{name:t.accounts,shown:e.accounts?.join(`, `)??t.everybody},{name:t.compared,shown:e.byIds?t.byIds:t.bySums},{name:t.layout,shown:e.layout??`–`},{name:t.tolerance,shown:g(Number(e.tolerance))},{name:t.madeAt,shown:(0,M.jsx)(_,{at:e.madeAt})}];return(0,M.jsx)(`dl`,{className:`figures-grid recon-facts`,children:n.map(({name:e,shown:t})=>(0,M.jsxs)(`div`,{className:`figure`,children:[(0,M.jsx)(`dt`,{children:e}),(0,M.jsx)(`dd`,{children:t})]},e))})}function te(){let[e,n]=t(),r=e.get(`reconciliation`),i=e=>n({reconciliation:e,kind:null});return(0,M.jsxs)(`div`,{className:`page-body`,children:[r!==null&&(0,M.jsx)($,{id:r,kinds:e.getAll(`kind`),choose:e=>n({kind:e},{replace:!0}),close:()=>i(null)},r),(0,M.jsx)(I,{open:r,show:i})]})}export{te as default};