import{c as e,f as t,h as n,l as r,r as i,v as a}from"./zone-DXQPei4g.js";import{a as o,n as s,r as c,t as l}from"./Moment-CML5bCIn.js";import{U as u,V as d,a as f,l as p,n as m,o as h,p as g,r as _,s as v}from"./Empty-BfgApZrn.js";import{t as y}from"./NoAnswer-eAnr6-3V.js";import{n as b,t as x}from"./Pager-gJRbhRL-.js";import{a as S,c as C,l as w}from"./index-CkhWhEJl.js";var T=a(n(),1),E=m(`
  query ApiKeys($after: String) {
    apiKeys(first: 100, after: $after) {
      nodes {
        id
        keyId
        name
        role
        accounts
        state
        createdAt
        expiresAt
        lastUsedAt
        revokedAt
      }
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`),D=m(`
  mutation MakeKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      key
    }
  }
`),O=m(`
  mutation ReplaceKey($input: RotateApiKeyInput!) {
    rotateApiKey(input: $input) {
      key
      replaced {
        expiresAt
      }
    }
  }
`),k=m(`
  mutation EndKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      apiKey {
        id
      }
    }
  }
`),A=u({keys:`API keys`,all:e=>e===`1`?`1 key, ended ones included`:`${e} keys, ended ones included`,token:`You are signed in by a session token, which manages no keys: sign in with the key itself.`,make:`Make a key`,replace:`Replace`,replaceOf:e=>`Replace ${e}`,end:`End`,endOf:e=>`End ${e}`,endWhy:e=>`${e} and the session tokens that it gave out end now, in every running service, for good.`,endForGood:`End it for good`,id:`Key`,name:`Name`,role:`Role`,accounts:`Accounts`,every:`every account`,state:`State`,states:{LIVE:`Live`,EXPIRED:`Expired`,REVOKED:`Ended`,REFUSED:`Refused: not in the ledger`},made:`Made`,used:`Last used`,ends:`Ends, or ended`,never:`never`,actions:`Actions`,once:`This is the key. It is shown now, and never again: keep it.`,kept:`I have kept it`,nameOf:`What it is for`,accountsOf:`Accounts, with commas between them (none: every account)`,endsOf:`Ends at (optional)`,overlap:`Hours for which the old key still works`,may:{INGEST:`Reports calls; reads nothing.`,VIEWER:`Reads calls, errors and costs.`,PARTNER:`Reads its own accounts; its keys expire.`,SUPPORT:`As viewer, and may reveal a sealed error, with a reason.`,AUDITOR:`Retention, policy, ledger and evidence; no call content.`,COMPLIANCE:`Holds, purge, erasure, evidence; no call content.`,ADMIN:`Everything, keys included.`}},{keys:`API 密钥`,all:e=>`共 ${e} 个密钥，包括已失效的`,token:`您通过会话令牌登录，无法管理密钥：请使用密钥本身登录。`,make:`创建密钥`,replace:`轮换`,replaceOf:e=>`轮换 ${e}`,end:`吊销`,endOf:e=>`吊销 ${e}`,endWhy:e=>`${e} 及其签发的会话令牌将立即在所有服务中永久失效。`,endForGood:`永久吊销`,id:`密钥`,name:`名称`,role:`角色`,accounts:`账户`,every:`所有账户`,state:`状态`,states:{LIVE:`有效`,EXPIRED:`已过期`,REVOKED:`已吊销`,REFUSED:`被拒绝：不在账本中`},made:`创建时间`,used:`上次使用`,ends:`失效时间`,never:`从不`,actions:`操作`,once:`这是密钥，仅显示这一次：请妥善保存。`,kept:`我已保存`,nameOf:`用途`,accountsOf:`账户，以逗号分隔（留空：所有账户）`,endsOf:`失效时间（可选）`,overlap:`旧密钥继续有效的小时数`,may:{INGEST:`上报调用，不能读取。`,VIEWER:`读取调用、错误和费用。`,PARTNER:`仅读取自己的账户，密钥会过期。`,SUPPORT:`同查看者，并可说明理由后查看密封的错误。`,AUDITOR:`保留、策略、账本和证据，不含调用内容。`,COMPLIANCE:`保全、清除、删除、证据，不含调用内容。`,ADMIN:`全部权限，包括密钥。`}}),j=t();function M({apiKey:e,close:t}){let n=d(A),[{error:r,fetching:i},a]=g(k),o=_(r);return(0,j.jsx)(S,{title:n.endOf(e.keyId),close:t,children:(0,j.jsxs)(`div`,{className:`keys-form`,children:[(0,j.jsx)(`p`,{children:n.endWhy(e.name??e.keyId)}),o&&(0,j.jsx)(h,{problem:o}),(0,j.jsx)(p,{kind:`danger`,busy:i,onClick:()=>{a({input:{id:e.id}}).then(e=>{e.error||t()})},children:n.endForGood})]})})}var N={LIVE:`badge badge-good`,EXPIRED:`badge`,REVOKED:`badge`,REFUSED:`badge badge-bad`};function P({keys:t,doing:n}){let r=d(A),i=d(w).role,a=C(),o=e=>a.mayAsk(e)&&a.kind===`key`;return(0,j.jsx)(s,{caption:r.keys,rows:t,keyOf:({id:e})=>e,columns:[{name:`id`,title:r.id,cell:({keyId:e})=>(0,j.jsx)(v,{text:e})},{name:`name`,title:r.name,cell:({name:e})=>e??`–`},{name:`role`,title:r.role,cell:({role:e})=>i[e]},{name:`accounts`,title:r.accounts,cell:({accounts:e})=>e?.join(`, `)??r.every},{name:`state`,title:r.state,cell:({state:e})=>(0,j.jsx)(`span`,{className:N[e],children:r.states[e]})},{name:`made`,title:r.made,cell:({createdAt:t})=>(0,j.jsx)(l,{text:e,at:t})},{name:`used`,title:r.used,cell:({lastUsedAt:t})=>t?(0,j.jsx)(l,{text:e,at:t}):r.never},{name:`ends`,title:r.ends,cell:({expiresAt:t,revokedAt:n})=>n??t?(0,j.jsx)(l,{text:e,at:n??t??``}):r.never},{name:`actions`,wide:!0,title:(0,j.jsx)(`span`,{className:`unseen`,children:r.actions}),cell:e=>(0,j.jsxs)(`span`,{className:`keys-bar`,children:[e.state===`LIVE`&&o(`rotateApiKey`)&&(0,j.jsx)(p,{"aria-label":r.replaceOf(e.keyId),onClick:()=>n(`replace`,e),children:r.replace}),e.state!==`REVOKED`&&o(`revokeApiKey`)&&(0,j.jsx)(p,{kind:`danger`,"aria-label":r.endOf(e.keyId),onClick:()=>n(`end`,e),children:r.end})]})}]})}function F({text:e,close:t}){let n=d(A);return(0,j.jsxs)(`div`,{className:`keys-form`,children:[(0,j.jsx)(`p`,{role:`status`,children:n.once}),(0,j.jsx)(`p`,{className:`keys-secret`,children:(0,j.jsx)(v,{text:e})}),(0,j.jsx)(p,{kind:`primary`,onClick:t,children:n.kept})]})}var I=[`VIEWER`,`PARTNER`,`SUPPORT`,`AUDITOR`,`COMPLIANCE`,`INGEST`,`ADMIN`];function L({close:e}){let t=d(A),n=d(w).role,a=r(),[o,s]=(0,T.useState)(`VIEWER`),[c,l]=(0,T.useState)(``),[u,f]=(0,T.useState)(``),[m,v]=(0,T.useState)(``),[{data:y,error:b,fetching:x},C]=g(D),E=_(b),O=y?.createApiKey?.key,k=u.split(`,`).map(e=>e.trim()).filter(e=>e!==``);return(0,j.jsx)(S,{title:t.make,close:e,children:O===void 0?(0,j.jsxs)(`form`,{className:`keys-form`,onSubmit:e=>{e.preventDefault(),C({input:{role:o,...c!==``&&{name:c},...k.length>0&&{accounts:k},...m!==``&&{expiresAt:i(m,a)}}})},children:[(0,j.jsxs)(`label`,{children:[t.role,(0,j.jsx)(`select`,{value:o,onChange:e=>s(e.target.value),children:I.map(e=>(0,j.jsx)(`option`,{value:e,children:n[e]},e))})]}),(0,j.jsx)(`p`,{className:`quiet`,children:t.may[o]}),(0,j.jsxs)(`label`,{children:[t.nameOf,(0,j.jsx)(`input`,{value:c,maxLength:200,onChange:e=>l(e.target.value)})]}),(0,j.jsxs)(`label`,{children:[t.accountsOf,(0,j.jsx)(`input`,{value:u,required:o===`PARTNER`,onChange:e=>f(e.target.value)})]}),(0,j.jsxs)(`label`,{children:[t.endsOf,(0,j.jsx)(`input`,{type:`datetime-local`,value:m,onChange:e=>v(e.target.value)})]}),E&&(0,j.jsx)(h,{problem:E}),(0,j.jsx)(p,{kind:`primary`,type:`submit`,busy:x,children:t.make})]}):(0,j.jsx)(F,{text:O,close:e})})}var R=2160;function z({apiKey:e,close:t}){let n=d(A),[r,i]=(0,T.useState)(`24`),[{data:a,error:o,fetching:s},c]=g(O),l=_(o),u=a?.rotateApiKey?.key;return(0,j.jsx)(S,{title:n.replaceOf(e.keyId),close:t,children:u===void 0?(0,j.jsxs)(`form`,{className:`keys-form`,onSubmit:t=>{t.preventDefault(),c({input:{id:e.id,overlapHours:Number(r)}})},children:[(0,j.jsxs)(`label`,{children:[n.overlap,(0,j.jsx)(`input`,{type:`number`,required:!0,min:0,max:R,step:1,value:r,onChange:e=>i(e.target.value)})]}),l&&(0,j.jsx)(h,{problem:l}),(0,j.jsx)(p,{kind:`primary`,type:`submit`,busy:s,children:n.replace})]}):(0,j.jsx)(F,{text:u,close:t})})}function B(){let e=d(A),t=C(),n=b(),[r,i]=(0,T.useState)(null),{data:a,problem:s,again:l}=c(E,{after:n.after}),u=a?.apiKeys;return(0,j.jsxs)(`div`,{className:`page-body`,children:[(0,j.jsxs)(`div`,{className:`keys-bar`,children:[t.kind===`key`&&t.mayAsk(`createApiKey`)&&(0,j.jsx)(p,{kind:`primary`,icon:`plus`,onClick:()=>i({what:`make`}),children:e.make}),u&&(0,j.jsx)(`p`,{className:`quiet`,children:e.all(o(u.totalCount))}),t.kind===`token`&&(0,j.jsx)(`p`,{className:`quiet`,children:e.token})]}),s&&(0,j.jsx)(y,{problem:s,again:l}),!u&&!s&&(0,j.jsx)(f,{lines:8}),u&&(0,j.jsx)(P,{keys:u.nodes,doing:(e,t)=>i({what:e,key:t})}),(0,j.jsx)(x,{pages:n,pageInfo:u?.pageInfo}),r&&(0,j.jsx)(V,{doing:r,close:()=>{i(null),l()}})]})}function V({doing:e,close:t}){switch(e.what){case`make`:return(0,j.jsx)(L,{close:t});case`replace`:return(0,j.jsx)(z,{apiKey:e.key,close:t});case`end`:return(0,j.jsx)(M,{apiKey:e.key,close:t})}}export{B as default};