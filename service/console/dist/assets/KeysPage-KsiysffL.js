import{f as e,h as t,l as n,n as r,s as i}from"./zone-ZLAjjgJ6.js";import{i as a,o,r as s,t as c}from"./Moment-DEkQMqQ_.js";import{E as l,S as u,T as d,_ as f,a as p,b as m,c as h,f as g,h as _,m as v,p as y,y as b}from"./index-Dkle9FFC.js";import{t as x}from"./NoAnswer-obMQcimv.js";var S=t(e(),1),C=b(`
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
`),w=b(`
  mutation MakeKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      key
    }
  }
`),T=b(`
  mutation ReplaceKey($input: RotateApiKeyInput!) {
    rotateApiKey(input: $input) {
      key
      replaced {
        expiresAt
      }
    }
  }
`),E=b(`
  mutation EndKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      apiKey {
        id
      }
    }
  }
`),D=l({keys:`API keys`,all:e=>`${e} keys, ended ones included`,token:`You are signed in by a session token, which manages no keys: sign in with the key itself.`,make:`Make a key`,replace:`Replace`,replaceOf:e=>`Replace ${e}`,end:`End`,endOf:e=>`End ${e}`,endWhy:e=>`${e} and the session tokens that it gave out end now, in every running service, for good.`,endForGood:`End it for good`,id:`Key`,name:`Name`,role:`Role`,accounts:`Accounts`,every:`every account`,state:`State`,states:{LIVE:`Live`,EXPIRED:`Expired`,REVOKED:`Ended`,REFUSED:`Refused: not in the ledger`},made:`Made`,used:`Last used`,ends:`Ends, or ended`,never:`never`,actions:`Actions`,next:`Older keys`,once:`This is the key. It is shown now, and never again: keep it.`,kept:`I have kept it`,nameOf:`What it is for`,accountsOf:`Accounts, with commas between them (none: every account)`,endsOf:`Ends at (optional)`,overlap:`Hours for which the old key still works`,may:{INGEST:`Reports calls; reads nothing.`,VIEWER:`Reads calls, errors and costs.`,PARTNER:`Reads its own accounts; its keys expire.`,SUPPORT:`As viewer, and may reveal a sealed error, with a reason.`,AUDITOR:`Retention, policy, ledger and evidence; no call content.`,COMPLIANCE:`Holds, purge, erasure, evidence; no call content.`,ADMIN:`Everything, keys included.`}},{keys:`API 密钥`,all:e=>`共 ${e} 个密钥,包括已失效的`,token:`您通过会话令牌登录,无法管理密钥:请使用密钥本身登录。`,make:`创建密钥`,replace:`轮换`,replaceOf:e=>`轮换 ${e}`,end:`吊销`,endOf:e=>`吊销 ${e}`,endWhy:e=>`${e} 及其签发的会话令牌将立即在所有服务中永久失效。`,endForGood:`永久吊销`,id:`密钥`,name:`名称`,role:`角色`,accounts:`账户`,every:`所有账户`,state:`状态`,states:{LIVE:`有效`,EXPIRED:`已过期`,REVOKED:`已吊销`,REFUSED:`被拒绝:不在账本中`},made:`创建时间`,used:`上次使用`,ends:`失效时间`,never:`从不`,actions:`操作`,next:`更早的密钥`,once:`这是密钥,仅显示这一次:请妥善保存。`,kept:`我已保存`,nameOf:`用途`,accountsOf:`账户,以逗号分隔(留空:所有账户)`,endsOf:`失效时间(可选)`,overlap:`旧密钥继续有效的小时数`,may:{INGEST:`上报调用,不能读取。`,VIEWER:`读取调用、错误和费用。`,PARTNER:`仅读取自己的账户,密钥会过期。`,SUPPORT:`同查看者,并可说明理由后查看密封的错误。`,AUDITOR:`保留、策略、账本和证据,不含调用内容。`,COMPLIANCE:`保全、清除、删除、证据,不含调用内容。`,ADMIN:`全部权限,包括密钥。`}}),O=n();function k({apiKey:e,close:t}){let n=d(D),[{error:r,fetching:i},a]=u(E),o=m(r);return(0,O.jsx)(p,{title:n.endOf(e.keyId),close:t,children:(0,O.jsxs)(`div`,{className:`keys-form`,children:[(0,O.jsx)(`p`,{children:n.endWhy(e.name??e.keyId)}),o&&(0,O.jsx)(v,{problem:o}),(0,O.jsx)(f,{kind:`danger`,busy:i,onClick:()=>{a({input:{id:e.id}}).then(e=>{e.error||t()})},children:n.endForGood})]})})}var A={LIVE:`badge badge-good`,EXPIRED:`badge`,REVOKED:`badge`,REFUSED:`badge badge-bad`};function j({keys:e,doing:t}){let n=d(D),r=d(y).role,i=g(),a=e=>i.mayAsk(e)&&i.kind===`key`;return(0,O.jsx)(s,{caption:n.keys,rows:e,keyOf:({id:e})=>e,columns:[{name:`id`,title:n.id,cell:({keyId:e})=>(0,O.jsx)(_,{text:e})},{name:`name`,title:n.name,cell:({name:e})=>e??`–`},{name:`role`,title:n.role,cell:({role:e})=>r[e]},{name:`accounts`,title:n.accounts,cell:({accounts:e})=>e?.join(`, `)??n.every},{name:`state`,title:n.state,cell:({state:e})=>(0,O.jsx)(`span`,{className:A[e],children:n.states[e]})},{name:`made`,title:n.made,cell:({createdAt:e})=>(0,O.jsx)(c,{at:e})},{name:`used`,title:n.used,cell:({lastUsedAt:e})=>e?(0,O.jsx)(c,{at:e}):n.never},{name:`ends`,title:n.ends,cell:({expiresAt:e,revokedAt:t})=>t??e?(0,O.jsx)(c,{at:t??e??``}):n.never},{name:`actions`,title:(0,O.jsx)(`span`,{className:`unseen`,children:n.actions}),cell:e=>(0,O.jsxs)(`span`,{className:`keys-bar`,children:[e.state===`LIVE`&&a(`rotateApiKey`)&&(0,O.jsx)(f,{"aria-label":n.replaceOf(e.keyId),onClick:()=>t(`replace`,e),children:n.replace}),e.state!==`REVOKED`&&a(`revokeApiKey`)&&(0,O.jsx)(f,{kind:`danger`,"aria-label":n.endOf(e.keyId),onClick:()=>t(`end`,e),children:n.end})]})}]})}function M({text:e,close:t}){let n=d(D);return(0,O.jsxs)(`div`,{className:`keys-form`,children:[(0,O.jsx)(`p`,{role:`status`,children:n.once}),(0,O.jsx)(`p`,{className:`keys-secret`,children:(0,O.jsx)(_,{text:e})}),(0,O.jsx)(f,{kind:`primary`,onClick:t,children:n.kept})]})}var N=[`VIEWER`,`PARTNER`,`SUPPORT`,`AUDITOR`,`COMPLIANCE`,`INGEST`,`ADMIN`];function P({close:e}){let t=d(D),n=d(y).role,a=i(),[o,s]=(0,S.useState)(`VIEWER`),[c,l]=(0,S.useState)(``),[h,g]=(0,S.useState)(``),[_,b]=(0,S.useState)(``),[{data:x,error:C,fetching:T},E]=u(w),k=m(C),A=x?.createApiKey?.key,j=h.split(`,`).map(e=>e.trim()).filter(e=>e!==``);return(0,O.jsx)(p,{title:t.make,close:e,children:A===void 0?(0,O.jsxs)(`form`,{className:`keys-form`,onSubmit:e=>{e.preventDefault(),E({input:{role:o,...c!==``&&{name:c},...j.length>0&&{accounts:j},..._!==``&&{expiresAt:r(_,a)}}})},children:[(0,O.jsxs)(`label`,{children:[t.role,(0,O.jsx)(`select`,{value:o,onChange:e=>s(e.target.value),children:N.map(e=>(0,O.jsx)(`option`,{value:e,children:n[e]},e))})]}),(0,O.jsx)(`p`,{className:`quiet`,children:t.may[o]}),(0,O.jsxs)(`label`,{children:[t.nameOf,(0,O.jsx)(`input`,{value:c,maxLength:200,onChange:e=>l(e.target.value)})]}),(0,O.jsxs)(`label`,{children:[t.accountsOf,(0,O.jsx)(`input`,{value:h,required:o===`PARTNER`,onChange:e=>g(e.target.value)})]}),(0,O.jsxs)(`label`,{children:[t.endsOf,(0,O.jsx)(`input`,{type:`datetime-local`,value:_,onChange:e=>b(e.target.value)})]}),k&&(0,O.jsx)(v,{problem:k}),(0,O.jsx)(f,{kind:`primary`,type:`submit`,busy:T,children:t.make})]}):(0,O.jsx)(M,{text:A,close:e})})}var F=2160;function I({apiKey:e,close:t}){let n=d(D),[r,i]=(0,S.useState)(`24`),[{data:a,error:o,fetching:s},c]=u(T),l=m(o),h=a?.rotateApiKey?.key;return(0,O.jsx)(p,{title:n.replaceOf(e.keyId),close:t,children:h===void 0?(0,O.jsxs)(`form`,{className:`keys-form`,onSubmit:t=>{t.preventDefault(),c({input:{id:e.id,overlapHours:Number(r)}})},children:[(0,O.jsxs)(`label`,{children:[n.overlap,(0,O.jsx)(`input`,{type:`number`,required:!0,min:0,max:F,step:1,value:r,onChange:e=>i(e.target.value)})]}),l&&(0,O.jsx)(v,{problem:l}),(0,O.jsx)(f,{kind:`primary`,type:`submit`,busy:s,children:n.replace})]}):(0,O.jsx)(M,{text:h,close:t})})}function L(){let e=d(D),t=g(),[n,r]=(0,S.useState)(null),[i,s]=(0,S.useState)(null),{data:c,problem:l,again:u}=a(C,{after:n}),p=c?.apiKeys;return(0,O.jsxs)(`div`,{className:`page-body`,children:[(0,O.jsxs)(`div`,{className:`keys-bar`,children:[t.kind===`key`&&t.mayAsk(`createApiKey`)&&(0,O.jsx)(f,{kind:`primary`,icon:`plus`,onClick:()=>s({what:`make`}),children:e.make}),p&&(0,O.jsx)(`p`,{className:`quiet`,children:e.all(o(p.totalCount))}),t.kind===`token`&&(0,O.jsx)(`p`,{className:`quiet`,children:e.token})]}),l&&(0,O.jsx)(x,{problem:l,again:u}),!p&&!l&&(0,O.jsx)(h,{lines:8}),p&&(0,O.jsx)(j,{keys:p.nodes,doing:(e,t)=>s({what:e,key:t})}),p?.pageInfo.hasNextPage&&(0,O.jsx)(f,{icon:`right`,onClick:()=>r(p.pageInfo.endCursor??null),children:e.next}),i&&(0,O.jsx)(R,{doing:i,close:()=>{s(null),u()}})]})}function R({doing:e,close:t}){switch(e.what){case`make`:return(0,O.jsx)(P,{close:t});case`replace`:return(0,O.jsx)(I,{apiKey:e.key,close:t});case`end`:return(0,O.jsx)(k,{apiKey:e.key,close:t})}}export{L as default};