import{_ as e,c as t,d as n,m as r,n as i,s as a}from"./zone-BdkYMsVa.js";import{a as o,n as s,r as c,t as l}from"./Moment-SVSzPNhc.js";import{U as u,V as d,c as f,i as p,l as m,o as h,p as g,r as _,t as v}from"./Waiting-BynpMIUj.js";import{t as y}from"./NoAnswer-C4jzMiMX.js";import{n as b,t as x}from"./Pager-B234D-sn.js";import{a as S,d as C,u as w}from"./index-ZnQ93Gcg.js";var T=e(r(),1),E=f(`
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
`),D=f(`
  mutation MakeKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      key
    }
  }
`),O=f(`
  mutation ReplaceKey($input: RotateApiKeyInput!) {
    rotateApiKey(input: $input) {
      key
      replaced {
        expiresAt
      }
    }
  }
`),k=f(`
  mutation EndKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      apiKey {
        id
      }
    }
  }
`),A=u({keys:`API keys`,all:e=>e===`1`?`1 key, ended ones included`:`${e} keys, ended ones included`,token:`You are signed in by a session token, which manages no keys: sign in with the key itself.`,make:`Make a key`,replace:`Replace`,replaceOf:e=>`Replace ${e}`,end:`End`,endOf:e=>`End ${e}`,endWhy:e=>`${e} and the session tokens that it gave out end now, in every running service, for good.`,endForGood:`End it for good`,id:`Key`,name:`Name`,role:`Role`,accounts:`Accounts`,every:`every account`,state:`State`,states:{LIVE:`Live`,EXPIRED:`Expired`,REVOKED:`Ended`,REFUSED:`Refused: not in the ledger`},made:`Made`,used:`Last used`,ends:`Ends, or ended`,never:`never`,actions:`Actions`,once:`This is the key. It is shown now, and never again: keep it.`,kept:`I have kept it`,nameOf:`What it is for`,accountsOf:`Accounts, with commas between them (none: every account)`,endsOf:`Ends at (optional)`,overlap:`Hours for which the old key still works`,may:{INGEST:`Reports calls; reads nothing.`,VIEWER:`Reads calls, errors and costs.`,PARTNER:`Reads its own accounts; its keys expire.`,SUPPORT:`As viewer, and may reveal a sealed error, with a reason.`,AUDITOR:`Retention, policy, ledger and evidence; no call content.`,COMPLIANCE:`Holds, purge, erasure, evidence; no call content.`,ADMIN:`Everything, keys included.`}},{keys:`API 密钥`,all:e=>`共 ${e} 个密钥，包括已失效的`,token:`您通过会话令牌登录，无法管理密钥：请使用密钥本身登录。`,make:`创建密钥`,replace:`轮换`,replaceOf:e=>`轮换 ${e}`,end:`吊销`,endOf:e=>`吊销 ${e}`,endWhy:e=>`${e} 及其签发的会话令牌将立即在所有服务中永久失效。`,endForGood:`永久吊销`,id:`密钥`,name:`名称`,role:`角色`,accounts:`账户`,every:`所有账户`,state:`状态`,states:{LIVE:`有效`,EXPIRED:`已过期`,REVOKED:`已吊销`,REFUSED:`被拒绝：不在账本中`},made:`创建时间`,used:`上次使用`,ends:`失效时间`,never:`从不`,actions:`操作`,once:`这是密钥，仅显示这一次：请妥善保存。`,kept:`我已保存`,nameOf:`用途`,accountsOf:`账户，以逗号分隔（留空：所有账户）`,endsOf:`失效时间（可选）`,overlap:`旧密钥继续有效的小时数`,may:{INGEST:`上报调用，不能读取。`,VIEWER:`读取调用、错误和费用。`,PARTNER:`仅读取自己的账户，密钥会过期。`,SUPPORT:`同查看者，并可说明理由后查看密封的错误。`,AUDITOR:`保留、策略、账本和证据，不含调用内容。`,COMPLIANCE:`保全、清除、删除、证据，不含调用内容。`,ADMIN:`全部权限，包括密钥。`}}),j=n();function M({apiKey:e,close:t}){let n=d(A),[{error:r,fetching:i},a]=g(k),o=m(r);return(0,j.jsx)(S,{title:n.endOf(e.keyId),close:t,children:(0,j.jsxs)(`div`,{className:`keys-form`,children:[(0,j.jsx)(`p`,{children:n.endWhy(e.name??e.keyId)}),o&&(0,j.jsx)(_,{problem:o}),(0,j.jsx)(h,{kind:`danger`,busy:i,onClick:()=>{a({input:{id:e.id}}).then(e=>{e.error||t()})},children:n.endForGood})]})})}var N={LIVE:`badge badge-good`,EXPIRED:`badge`,REVOKED:`badge`,REFUSED:`badge badge-bad`};function P({keys:e,doing:t}){let n=d(A),r=d(C).role,i=w(),o=e=>i.mayAsk(e)&&i.kind===`key`;return(0,j.jsx)(s,{caption:n.keys,rows:e,keyOf:({id:e})=>e,columns:[{name:`id`,title:n.id,cell:({keyId:e})=>(0,j.jsx)(p,{text:e})},{name:`name`,title:n.name,cell:({name:e})=>e??`–`},{name:`role`,title:n.role,cell:({role:e})=>r[e]},{name:`accounts`,title:n.accounts,cell:({accounts:e})=>e?.join(`, `)??n.every},{name:`state`,title:n.state,cell:({state:e})=>(0,j.jsx)(`span`,{className:N[e],children:n.states[e]})},{name:`made`,title:n.made,cell:({createdAt:e})=>(0,j.jsx)(l,{text:a,at:e})},{name:`used`,title:n.used,cell:({lastUsedAt:e})=>e?(0,j.jsx)(l,{text:a,at:e}):n.never},{name:`ends`,title:n.ends,cell:({expiresAt:e,revokedAt:t})=>t??e?(0,j.jsx)(l,{text:a,at:t??e??``}):n.never},{name:`actions`,title:(0,j.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:e=>(0,j.jsxs)(`span`,{className:`keys-bar`,children:[e.state===`LIVE`&&o(`rotateApiKey`)&&(0,j.jsx)(h,{"aria-label":n.replaceOf(e.keyId),onClick:()=>t(`replace`,e),children:n.replace}),e.state!==`REVOKED`&&o(`revokeApiKey`)&&(0,j.jsx)(h,{kind:`danger`,"aria-label":n.endOf(e.keyId),onClick:()=>t(`end`,e),children:n.end})]})}]})}function F({text:e,close:t}){let n=d(A);return(0,j.jsxs)(`div`,{className:`keys-form`,children:[(0,j.jsx)(`p`,{role:`status`,children:n.once}),(0,j.jsx)(`p`,{className:`keys-secret`,children:(0,j.jsx)(p,{text:e})}),(0,j.jsx)(h,{kind:`primary`,onClick:t,children:n.kept})]})}var I=[`VIEWER`,`PARTNER`,`SUPPORT`,`AUDITOR`,`COMPLIANCE`,`INGEST`,`ADMIN`];function L({close:e}){let n=d(A),r=d(C).role,a=t(),[o,s]=(0,T.useState)(`VIEWER`),[c,l]=(0,T.useState)(``),[u,f]=(0,T.useState)(``),[p,v]=(0,T.useState)(``),[{data:y,error:b,fetching:x},w]=g(D),E=m(b),O=y?.createApiKey?.key,k=u.split(`,`).map(e=>e.trim()).filter(e=>e!==``);return(0,j.jsx)(S,{title:n.make,close:e,children:O===void 0?(0,j.jsxs)(`form`,{className:`keys-form`,onSubmit:e=>{e.preventDefault(),w({input:{role:o,...c!==``&&{name:c},...k.length>0&&{accounts:k},...p!==``&&{expiresAt:i(p,a)}}})},children:[(0,j.jsxs)(`label`,{children:[n.role,(0,j.jsx)(`select`,{value:o,onChange:e=>s(e.target.value),children:I.map(e=>(0,j.jsx)(`option`,{value:e,children:r[e]},e))})]}),(0,j.jsx)(`p`,{className:`quiet`,children:n.may[o]}),(0,j.jsxs)(`label`,{children:[n.nameOf,(0,j.jsx)(`input`,{value:c,maxLength:200,onChange:e=>l(e.target.value)})]}),(0,j.jsxs)(`label`,{children:[n.accountsOf,(0,j.jsx)(`input`,{value:u,required:o===`PARTNER`,onChange:e=>f(e.target.value)})]}),(0,j.jsxs)(`label`,{children:[n.endsOf,(0,j.jsx)(`input`,{type:`datetime-local`,value:p,onChange:e=>v(e.target.value)})]}),E&&(0,j.jsx)(_,{problem:E}),(0,j.jsx)(h,{kind:`primary`,type:`submit`,busy:x,children:n.make})]}):(0,j.jsx)(F,{text:O,close:e})})}var R=2160;function z({apiKey:e,close:t}){let n=d(A),[r,i]=(0,T.useState)(`24`),[{data:a,error:o,fetching:s},c]=g(O),l=m(o),u=a?.rotateApiKey?.key;return(0,j.jsx)(S,{title:n.replaceOf(e.keyId),close:t,children:u===void 0?(0,j.jsxs)(`form`,{className:`keys-form`,onSubmit:t=>{t.preventDefault(),c({input:{id:e.id,overlapHours:Number(r)}})},children:[(0,j.jsxs)(`label`,{children:[n.overlap,(0,j.jsx)(`input`,{type:`number`,required:!0,min:0,max:R,step:1,value:r,onChange:e=>i(e.target.value)})]}),l&&(0,j.jsx)(_,{problem:l}),(0,j.jsx)(h,{kind:`primary`,type:`submit`,busy:s,children:n.replace})]}):(0,j.jsx)(F,{text:u,close:t})})}function B(){let e=d(A),t=w(),n=b(),[r,i]=(0,T.useState)(null),{data:a,problem:s,again:l}=c(E,{after:n.after}),u=a?.apiKeys;return(0,j.jsxs)(`div`,{className:`page-body`,children:[(0,j.jsxs)(`div`,{className:`keys-bar`,children:[t.kind===`key`&&t.mayAsk(`createApiKey`)&&(0,j.jsx)(h,{kind:`primary`,icon:`plus`,onClick:()=>i({what:`make`}),children:e.make}),u&&(0,j.jsx)(`p`,{className:`quiet`,children:e.all(o(u.totalCount))}),t.kind===`token`&&(0,j.jsx)(`p`,{className:`quiet`,children:e.token})]}),s&&(0,j.jsx)(y,{problem:s,again:l}),!u&&!s&&(0,j.jsx)(v,{lines:8}),u&&(0,j.jsx)(P,{keys:u.nodes,doing:(e,t)=>i({what:e,key:t})}),(0,j.jsx)(x,{pages:n,pageInfo:u?.pageInfo}),r&&(0,j.jsx)(V,{doing:r,close:()=>{i(null),l()}})]})}function V({doing:e,close:t}){switch(e.what){case`make`:return(0,j.jsx)(L,{close:t});case`replace`:return(0,j.jsx)(z,{apiKey:e.key,close:t});case`end`:return(0,j.jsx)(M,{apiKey:e.key,close:t})}}export{B as default};