import{c as e,g as t,n,p as r,s as i,u as a}from"./zone-CRkJUK2W.js";import{a as o,n as s,r as c,t as l}from"./Moment-D7fNHVK9.js";import{E as u,S as d,T as f,_ as p,a as m,b as h,c as g,f as _,h as v,m as y,p as b,y as x}from"./index-BYTTLwGF.js";import{t as S}from"./NoAnswer-TSzemv7B.js";var C=t(r(),1),w=x(`
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
`),T=x(`
  mutation MakeKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      key
    }
  }
`),E=x(`
  mutation ReplaceKey($input: RotateApiKeyInput!) {
    rotateApiKey(input: $input) {
      key
      replaced {
        expiresAt
      }
    }
  }
`),D=x(`
  mutation EndKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      apiKey {
        id
      }
    }
  }
`),O=u({keys:`API keys`,all:e=>`${e} keys, ended ones included`,token:`You are signed in by a session token, which manages no keys: sign in with the key itself.`,make:`Make a key`,replace:`Replace`,replaceOf:e=>`Replace ${e}`,end:`End`,endOf:e=>`End ${e}`,endWhy:e=>`${e} and the session tokens that it gave out end now, in every running service, for good.`,endForGood:`End it for good`,id:`Key`,name:`Name`,role:`Role`,accounts:`Accounts`,every:`every account`,state:`State`,states:{LIVE:`Live`,EXPIRED:`Expired`,REVOKED:`Ended`,REFUSED:`Refused: not in the ledger`},made:`Made`,used:`Last used`,ends:`Ends, or ended`,never:`never`,actions:`Actions`,next:`Older keys`,once:`This is the key. It is shown now, and never again: keep it.`,kept:`I have kept it`,nameOf:`What it is for`,accountsOf:`Accounts, with commas between them (none: every account)`,endsOf:`Ends at (optional)`,overlap:`Hours for which the old key still works`,may:{INGEST:`Reports calls; reads nothing.`,VIEWER:`Reads calls, errors and costs.`,PARTNER:`Reads its own accounts; its keys expire.`,SUPPORT:`As viewer, and may reveal a sealed error, with a reason.`,AUDITOR:`Retention, policy, ledger and evidence; no call content.`,COMPLIANCE:`Holds, purge, erasure, evidence; no call content.`,ADMIN:`Everything, keys included.`}},{keys:`API 密钥`,all:e=>`共 ${e} 个密钥,包括已失效的`,token:`您通过会话令牌登录,无法管理密钥:请使用密钥本身登录。`,make:`创建密钥`,replace:`轮换`,replaceOf:e=>`轮换 ${e}`,end:`吊销`,endOf:e=>`吊销 ${e}`,endWhy:e=>`${e} 及其签发的会话令牌将立即在所有服务中永久失效。`,endForGood:`永久吊销`,id:`密钥`,name:`名称`,role:`角色`,accounts:`账户`,every:`所有账户`,state:`状态`,states:{LIVE:`有效`,EXPIRED:`已过期`,REVOKED:`已吊销`,REFUSED:`被拒绝:不在账本中`},made:`创建时间`,used:`上次使用`,ends:`失效时间`,never:`从不`,actions:`操作`,next:`更早的密钥`,once:`这是密钥,仅显示这一次:请妥善保存。`,kept:`我已保存`,nameOf:`用途`,accountsOf:`账户,以逗号分隔(留空:所有账户)`,endsOf:`失效时间(可选)`,overlap:`旧密钥继续有效的小时数`,may:{INGEST:`上报调用,不能读取。`,VIEWER:`读取调用、错误和费用。`,PARTNER:`仅读取自己的账户,密钥会过期。`,SUPPORT:`同查看者,并可说明理由后查看密封的错误。`,AUDITOR:`保留、策略、账本和证据,不含调用内容。`,COMPLIANCE:`保全、清除、删除、证据,不含调用内容。`,ADMIN:`全部权限,包括密钥。`}}),k=a();function A({apiKey:e,close:t}){let n=f(O),[{error:r,fetching:i},a]=d(D),o=h(r);return(0,k.jsx)(m,{title:n.endOf(e.keyId),close:t,children:(0,k.jsxs)(`div`,{className:`keys-form`,children:[(0,k.jsx)(`p`,{children:n.endWhy(e.name??e.keyId)}),o&&(0,k.jsx)(y,{problem:o}),(0,k.jsx)(p,{kind:`danger`,busy:i,onClick:()=>{a({input:{id:e.id}}).then(e=>{e.error||t()})},children:n.endForGood})]})})}var j={LIVE:`badge badge-good`,EXPIRED:`badge`,REVOKED:`badge`,REFUSED:`badge badge-bad`};function M({keys:e,doing:t}){let n=f(O),r=f(b).role,a=_(),o=e=>a.mayAsk(e)&&a.kind===`key`;return(0,k.jsx)(s,{caption:n.keys,rows:e,keyOf:({id:e})=>e,columns:[{name:`id`,title:n.id,cell:({keyId:e})=>(0,k.jsx)(v,{text:e})},{name:`name`,title:n.name,cell:({name:e})=>e??`–`},{name:`role`,title:n.role,cell:({role:e})=>r[e]},{name:`accounts`,title:n.accounts,cell:({accounts:e})=>e?.join(`, `)??n.every},{name:`state`,title:n.state,cell:({state:e})=>(0,k.jsx)(`span`,{className:j[e],children:n.states[e]})},{name:`made`,title:n.made,cell:({createdAt:e})=>(0,k.jsx)(l,{text:i,at:e})},{name:`used`,title:n.used,cell:({lastUsedAt:e})=>e?(0,k.jsx)(l,{text:i,at:e}):n.never},{name:`ends`,title:n.ends,cell:({expiresAt:e,revokedAt:t})=>t??e?(0,k.jsx)(l,{text:i,at:t??e??``}):n.never},{name:`actions`,title:(0,k.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:e=>(0,k.jsxs)(`span`,{className:`keys-bar`,children:[e.state===`LIVE`&&o(`rotateApiKey`)&&(0,k.jsx)(p,{"aria-label":n.replaceOf(e.keyId),onClick:()=>t(`replace`,e),children:n.replace}),e.state!==`REVOKED`&&o(`revokeApiKey`)&&(0,k.jsx)(p,{kind:`danger`,"aria-label":n.endOf(e.keyId),onClick:()=>t(`end`,e),children:n.end})]})}]})}function N({text:e,close:t}){let n=f(O);return(0,k.jsxs)(`div`,{className:`keys-form`,children:[(0,k.jsx)(`p`,{role:`status`,children:n.once}),(0,k.jsx)(`p`,{className:`keys-secret`,children:(0,k.jsx)(v,{text:e})}),(0,k.jsx)(p,{kind:`primary`,onClick:t,children:n.kept})]})}var P=[`VIEWER`,`PARTNER`,`SUPPORT`,`AUDITOR`,`COMPLIANCE`,`INGEST`,`ADMIN`];function F({close:t}){let r=f(O),i=f(b).role,a=e(),[o,s]=(0,C.useState)(`VIEWER`),[c,l]=(0,C.useState)(``),[u,g]=(0,C.useState)(``),[_,v]=(0,C.useState)(``),[{data:x,error:S,fetching:w},E]=d(T),D=h(S),A=x?.createApiKey?.key,j=u.split(`,`).map(e=>e.trim()).filter(e=>e!==``);return(0,k.jsx)(m,{title:r.make,close:t,children:A===void 0?(0,k.jsxs)(`form`,{className:`keys-form`,onSubmit:e=>{e.preventDefault(),E({input:{role:o,...c!==``&&{name:c},...j.length>0&&{accounts:j},..._!==``&&{expiresAt:n(_,a)}}})},children:[(0,k.jsxs)(`label`,{children:[r.role,(0,k.jsx)(`select`,{value:o,onChange:e=>s(e.target.value),children:P.map(e=>(0,k.jsx)(`option`,{value:e,children:i[e]},e))})]}),(0,k.jsx)(`p`,{className:`quiet`,children:r.may[o]}),(0,k.jsxs)(`label`,{children:[r.nameOf,(0,k.jsx)(`input`,{value:c,maxLength:200,onChange:e=>l(e.target.value)})]}),(0,k.jsxs)(`label`,{children:[r.accountsOf,(0,k.jsx)(`input`,{value:u,required:o===`PARTNER`,onChange:e=>g(e.target.value)})]}),(0,k.jsxs)(`label`,{children:[r.endsOf,(0,k.jsx)(`input`,{type:`datetime-local`,value:_,onChange:e=>v(e.target.value)})]}),D&&(0,k.jsx)(y,{problem:D}),(0,k.jsx)(p,{kind:`primary`,type:`submit`,busy:w,children:r.make})]}):(0,k.jsx)(N,{text:A,close:t})})}var I=2160;function L({apiKey:e,close:t}){let n=f(O),[r,i]=(0,C.useState)(`24`),[{data:a,error:o,fetching:s},c]=d(E),l=h(o),u=a?.rotateApiKey?.key;return(0,k.jsx)(m,{title:n.replaceOf(e.keyId),close:t,children:u===void 0?(0,k.jsxs)(`form`,{className:`keys-form`,onSubmit:t=>{t.preventDefault(),c({input:{id:e.id,overlapHours:Number(r)}})},children:[(0,k.jsxs)(`label`,{children:[n.overlap,(0,k.jsx)(`input`,{type:`number`,required:!0,min:0,max:I,step:1,value:r,onChange:e=>i(e.target.value)})]}),l&&(0,k.jsx)(y,{problem:l}),(0,k.jsx)(p,{kind:`primary`,type:`submit`,busy:s,children:n.replace})]}):(0,k.jsx)(N,{text:u,close:t})})}function R(){let e=f(O),t=_(),[n,r]=(0,C.useState)(null),[i,a]=(0,C.useState)(null),{data:s,problem:l,again:u}=c(w,{after:n}),d=s?.apiKeys;return(0,k.jsxs)(`div`,{className:`page-body`,children:[(0,k.jsxs)(`div`,{className:`keys-bar`,children:[t.kind===`key`&&t.mayAsk(`createApiKey`)&&(0,k.jsx)(p,{kind:`primary`,icon:`plus`,onClick:()=>a({what:`make`}),children:e.make}),d&&(0,k.jsx)(`p`,{className:`quiet`,children:e.all(o(d.totalCount))}),t.kind===`token`&&(0,k.jsx)(`p`,{className:`quiet`,children:e.token})]}),l&&(0,k.jsx)(S,{problem:l,again:u}),!d&&!l&&(0,k.jsx)(g,{lines:8}),d&&(0,k.jsx)(M,{keys:d.nodes,doing:(e,t)=>a({what:e,key:t})}),d?.pageInfo.hasNextPage&&(0,k.jsx)(p,{icon:`right`,onClick:()=>r(d.pageInfo.endCursor??null),children:e.next}),i&&(0,k.jsx)(z,{doing:i,close:()=>{a(null),u()}})]})}function z({doing:e,close:t}){switch(e.what){case`make`:return(0,k.jsx)(F,{close:t});case`replace`:return(0,k.jsx)(L,{apiKey:e.key,close:t});case`end`:return(0,k.jsx)(A,{apiKey:e.key,close:t})}}export{R as default};