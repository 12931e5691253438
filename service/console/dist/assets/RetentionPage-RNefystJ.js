import{E as e,O as t,T as n,_ as r,b as i,c as a,f as o,h as s,l as c,m as l,p as u,s as d,u as f,x as p,y as m}from"./index-BYTTLwGF.js";import{a as h,n as g,r as _,t as v}from"./Moment-D7fNHVK9.js";import{t as y}from"./NoAnswer-TSzemv7B.js";import{g as b,p as x,u as S}from"./zone-CRkJUK2W.js";var C=e({part:`Part`,parts:{kept:`What is kept`,gone:`Purges, holds, erasures`,ledger:`Ledger`,policy:`Policy`},overdue:`Overdue rows`,lostKeys:`Lost keys`,missing:`Missing protections`,detached:`Detached partitions`,lastPurge:`Last purge`,nextPurge:`Next purge`,asItShould:`as it should be`,lookHere:`look here`,classes:`Classes of data`,class:`Class`,store:`Store`,tier:`Tier`,window:`Window`,keptAtMost:`Kept at most`,unreadable:`In no backup after`,days:e=>`${e} d`,oldest:`Oldest that is served`,hidden:`Hidden rows`,held:`Held rows`,keys:`Keys: live / destroyed / lost`,asOf:`As of`,policyDigest:`policy`,purgeRuns:`Purges`,noPurges:`No purge so far.`,planned:`Planned`,state:`State`,by:`By`,partitions:`Partitions`,rows:`Rows`,keysDestroyed:`Keys destroyed`,ended:`Ended, or ends`,entry:`Entry`,failure:`Failure`,holds:`Legal holds`,noHolds:`No hold was ever placed.`,name:`Name`,owner:`Owner`,account:`Account`,reason:`Reason`,erased:`erased`,placed:`Placed`,lifted:`Lifted`,inForce:`In force`,erasures:`Erasures`,noErasures:`Nobody asked for an erasure.`,id:`Id`,whom:`Whom`,person:`A person`,asked:`Asked for`,blocked:`Holds in the way`,backups:`In no backup from`,which:`Entries`,allEntries:`All entries`,whoLooked:`Who looked`,older:`Older entries`,newer:`Newer entries`,noEntries:`No entry of the ledger in this time.`,lastQuarter:`Last 90 days`,entries:`Entries of the ledger`,proof:`Proof`,time:`Time`,kind:`Kind`,facts:`Facts`,note:`Note`,unreadableLeaf:`This leaf cannot be read.`,verified:`verified`,verify:`Verify in this browser`,verifyWhy:`Paste the verifier key that you were given by another way. This browser checks the signature of the newest checkpoint, and that each entry shown here is in the tree it signs. Nothing is taken on the service's word.`,key:`Verifier key`,kept:`A checkpoint that you kept (optional): does the ledger still begin with it?`,verifyEntries:e=>`Verify ${e} entries`,allVerified:(e,t)=>`Verified: ${e} entries, by the signed checkpoint of ${t} entries.`,someBad:e=>`NOT verified: ${e} entries are not what was signed.`,notVerified:e=>`NOT verified. ${e}`,uncovered:e=>`${e} newer entries are not covered yet: the next checkpoint is signed within minutes.`,continued:`Nothing was changed or removed that your checkpoint covers.`,doubts:{noCrypto:`This browser checks nothing here: open the console by https, or on this machine.`,noEd25519:`This browser knows no Ed25519 signatures. Use a newer one, or calledger verify.`,badKey:`This is no verifier key, or a mistyped one.`,badCheckpoint:`What is there is no signed checkpoint.`,otherLedger:`The checkpoint is of another ledger than the key.`,otherKey:`The checkpoint is signed by another key than yours.`,badSignature:`The signature does not fit: the checkpoint was changed.`,notCovered:`not covered yet`,noProof:`There is no proof of it.`,notIncluded:`not what was signed`,notContinued:`The ledger does not begin with what your checkpoint covers: history was changed.`},evidence:`Evidence to take away`,evidenceWhy:`A signed bundle of the ledger's entries and policies. calledger verify checks it anywhere, without a server.`,since:`Size of the checkpoint that you hold (optional): only what came after it`,makeEvidence:`Make a bundle`,making:e=>`It is being written: ${e} entries so far.`,gone:`The file is gone: make it again.`,download:e=>`Download (${e} bytes)`,attest:`A signed statement that every check was made is the operator's to make, where the data is:`,applied:`Put in force`,approved:`approved by`,find:`Find a field, such as Call.user`,noField:`No field has this in its name.`,fields:`Fields, and what each role gets`,field:`Field`,action:`What is done with it`,you:`you`,document:`The policy's own text`,dataClass:{OPERATIONAL:`Operational`,BILLING:`Billing`,PERSONAL:`Personal`,SECRET:`Secret`,CONTENT:`Content`},stores:{CALL:`Calls`,CALL_ERROR:`Errors`,USAGE_QUARTER:`Sums by 15 min`,USAGE_DAY:`Sums by day`},views:{SEE:`sees`,MASKED:`masked`,DENIED:`denied`},actions:{KEEP:`kept`,MASK:`masked for good`,HASH:`pseudonym`,SEAL:`sealed`,DROP:`not kept`},purges:{REQUESTED:`Asked for`,PLANNED:`Planned`,HOLDS_CHECKED:`Holds checked`,INTENT_LEDGERED:`In the ledger`,KEYS_DESTROYED:`Keys destroyed`,DETACHED:`Detached`,DROPPED:`Dropped`,VERIFIED:`Verified`,DONE:`Done`,FAILED:`Failed`},erasureStates:{REQUESTED:`Asked for`,RESTRICTED:`Restricted`,DONE:`Done`}},{part:`部分`,parts:{kept:`保留情况`,gone:`清除、保全、删除`,ledger:`账本`,policy:`策略`},overdue:`逾期行数`,lostKeys:`丢失的密钥`,missing:`缺失的保护`,detached:`已分离的分区`,lastPurge:`上次清除`,nextPurge:`下次清除`,asItShould:`正常`,lookHere:`需关注`,classes:`数据类别`,class:`类别`,store:`存储`,tier:`等级`,window:`保留期`,keptAtMost:`最长保留`,unreadable:`备份中亦不可读`,days:e=>`${e} 天`,oldest:`可查询的最早时间`,hidden:`已隐藏行数`,held:`保全行数`,keys:`密钥:有效 / 已销毁 / 丢失`,asOf:`截至`,policyDigest:`策略`,purgeRuns:`清除记录`,noPurges:`尚未执行过清除。`,planned:`计划时间`,state:`状态`,by:`执行者`,partitions:`分区数`,rows:`行数`,keysDestroyed:`销毁的密钥`,ended:`结束时间`,entry:`条目`,failure:`失败原因`,holds:`法律保全`,noHolds:`从未设置过保全。`,name:`名称`,owner:`负责人`,account:`账户`,reason:`原因`,erased:`已删除`,placed:`设置时间`,lifted:`已解除`,inForce:`生效中`,erasures:`删除请求`,noErasures:`没有删除请求。`,id:`编号`,whom:`对象`,person:`个人`,asked:`请求时间`,blocked:`受阻于保全`,backups:`备份中不可读起始`,which:`条目范围`,allEntries:`全部条目`,whoLooked:`谁查看过`,older:`更早的条目`,newer:`更新的条目`,noEntries:`此时间段内账本没有条目。`,lastQuarter:`最近 90 天`,entries:`账本条目`,proof:`证明`,time:`时间`,kind:`类型`,facts:`内容`,note:`备注`,unreadableLeaf:`无法读取此叶子。`,verified:`已验证`,verify:`在此浏览器中验证`,verifyWhy:`粘贴您通过其他途径获得的验证密钥。浏览器将检查最新检查点的签名,以及此处显示的每个条目是否在其签名的树中。不依赖服务的任何声明。`,key:`验证密钥`,kept:`您保存的检查点(可选):账本是否仍以它开头?`,verifyEntries:e=>`验证 ${e} 个条目`,allVerified:(e,t)=>`已验证:${e} 个条目,依据含 ${t} 个条目的签名检查点。`,someBad:e=>`未通过验证:${e} 个条目与签名内容不符。`,notVerified:e=>`未通过验证。${e}`,uncovered:e=>`${e} 个较新条目尚未被覆盖:下一个检查点将在几分钟内签名。`,continued:`您的检查点所覆盖的内容没有被更改或移除。`,doubts:{noCrypto:`此浏览器在此处无法验证:请通过 https 或在本机打开控制台。`,noEd25519:`此浏览器不支持 Ed25519 签名。请使用较新的浏览器,或使用 calledger verify。`,badKey:`这不是验证密钥,或输入有误。`,badCheckpoint:`返回的不是签名的检查点。`,otherLedger:`检查点属于另一个账本。`,otherKey:`检查点由另一个密钥签名。`,badSignature:`签名不符:检查点已被更改。`,notCovered:`尚未覆盖`,noProof:`没有相应的证明。`,notIncluded:`与签名内容不符`,notContinued:`账本不再以您的检查点所覆盖的内容开头:历史已被更改。`},evidence:`可带走的证据`,evidenceWhy:`账本条目与策略的签名包。calledger verify 可在任何地方离线验证。`,since:`您持有的检查点大小(可选):仅包含其后的内容`,makeEvidence:`生成证据包`,making:e=>`正在写入:已有 ${e} 个条目。`,gone:`文件已不存在,请重新生成。`,download:e=>`下载(${e} 字节)`,attest:`所有检查均已执行的签名声明由运维人员在数据所在处生成:`,applied:`生效时间`,approved:`批准者`,find:`查找字段,例如 Call.user`,noField:`没有名称包含此内容的字段。`,fields:`字段及各角色可见内容`,field:`字段`,action:`处理方式`,you:`您`,document:`策略原文`,dataClass:{OPERATIONAL:`运营`,BILLING:`计费`,PERSONAL:`个人`,SECRET:`机密`,CONTENT:`内容`},stores:{CALL:`调用`,CALL_ERROR:`错误`,USAGE_QUARTER:`每 15 分钟汇总`,USAGE_DAY:`每日汇总`},views:{SEE:`可见`,MASKED:`脱敏`,DENIED:`不可见`},actions:{KEEP:`保留`,MASK:`永久脱敏`,HASH:`假名`,SEAL:`密封`,DROP:`不保留`},purges:{REQUESTED:`已请求`,PLANNED:`已计划`,HOLDS_CHECKED:`已检查保全`,INTENT_LEDGERED:`已入账本`,KEYS_DESTROYED:`密钥已销毁`,DETACHED:`已分离`,DROPPED:`已删除`,VERIFIED:`已核实`,DONE:`完成`,FAILED:`失败`},erasureStates:{REQUESTED:`已请求`,RESTRICTED:`受限`,DONE:`完成`}});function w(){let e=n(C),t={dataClass:e.dataClass,stores:e.stores,views:e.views,actions:e.actions,purges:e.purges,erasureStates:e.erasureStates,doubts:e.doubts};return(e,n)=>t[e][n]??n}var T=m(`
  query Kept {
    retention {
      asOf
      nextPurgeAt
      keyringBackupDays
      missing
      detached
      policyDigest
      classes {
        name
        tier
        store
        windowDays
        keptAtMostDays
        unreadableEverywhereDays
        oldest
        oldestServed
        overdue
        hidden
        held
        nextPurgeAt
        keys {
          live
          destroyed
          lost
        }
      }
      lastPurge {
        state
        finishedAt
      }
    }
  }
`),E=m(`
  query Destroyed($purges: Boolean!, $holds: Boolean!, $erasures: Boolean!) {
    purgeRuns(first: 20) @include(if: $purges) {
      nodes {
        id
        state
        plannedAt
        finishedAt
        requestedBy
        partitions {
          name
          rows
        }
        keysDestroyed
        rowsHeldBack
        ledgerIndex
        failure
      }
    }
    holds(first: 50) @include(if: $holds) {
      nodes {
        id
        name
        owner
        reason
        scope {
          account
          model
          from
          to
        }
        placedAt
        expiresAt
        liftedAt
        rows
        ledgerIndex
      }
    }
    erasures(first: 50) @include(if: $erasures) {
      nodes {
        id
        kind
        account
        requestedAt
        state
        finishedAt
        rows
        blockedByHolds
        unreadableInBackupsAt
        ledgerIndex
      }
    }
  }
`),ee=m(`
  query Entries($filter: LedgerFilter, $first: Int, $after: String) {
    ledger(filter: $filter, first: $first, after: $after) {
      nodes {
        index
        recordedAt
        kind
        actor
        leaf
        note
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`),D=m(`
  query NewestCheckpoint {
    checkpoint {
      size
      note
      issuedAt
      publicKey
    }
  }
`),O=m(`
  query ProofOfEntry($index: BigInt!, $size: BigInt!) {
    inclusionProof(index: $index, size: $size) {
      hashes
    }
  }
`),k=m(`
  query ProofOfHistory($from: BigInt!, $to: BigInt!) {
    consistencyProof(from: $from, to: $to) {
      hashes
    }
  }
`),te=m(`
  query PolicyInForce {
    policy {
      name
      version
      digest
      appliedAt
      appliedBy
      approvedBy
      document
      fields {
        field
        class
        action
        store
        views {
          role
          view
        }
      }
    }
  }
`),A=m(`
  mutation MakeEvidence($input: CreateEvidenceInput!) {
    createEvidence(input: $input) {
      export {
        id
      }
      checkpoint {
        size
        note
      }
    }
  }
`),ne=m(`
  query EvidenceFile($id: ID!) {
    export(id: $id) {
      id
      state
      bytes
      rows
      sha256
      failure
      signedUrl
    }
  }
`),j=S();function re(){let e=n(C),t=w(),{data:r,problem:i,waiting:o,again:c}=_(T,{}),l=r?.retention;if(i&&!l)return(0,j.jsx)(y,{problem:i,again:c});if(!l)return(0,j.jsx)(a,{lines:8});let u=l.classes.reduce((e,t)=>e+BigInt(t.overdue),0n),d=l.classes.reduce((e,t)=>e+BigInt(t.keys.lost),0n);return(0,j.jsxs)(`div`,{className:`retention-part`,"aria-busy":o,children:[i&&(0,j.jsx)(y,{problem:i,again:c}),(0,j.jsxs)(`dl`,{className:`figures-grid`,children:[(0,j.jsx)(M,{name:e.overdue,good:u===0n,children:h(String(u))}),(0,j.jsx)(M,{name:e.lostKeys,good:d===0n,children:h(String(d))}),(0,j.jsx)(M,{name:e.missing,good:l.missing.length===0,children:l.missing.length}),(0,j.jsx)(M,{name:e.detached,good:l.detached.length===0,children:l.detached.length}),(0,j.jsxs)(`div`,{className:`figure`,children:[(0,j.jsx)(`dt`,{children:e.lastPurge}),(0,j.jsx)(`dd`,{children:l.lastPurge?.finishedAt?(0,j.jsx)(v,{at:l.lastPurge.finishedAt}):`–`})]}),(0,j.jsxs)(`div`,{className:`figure`,children:[(0,j.jsx)(`dt`,{children:e.nextPurge}),(0,j.jsx)(`dd`,{children:l.nextPurgeAt?(0,j.jsx)(v,{at:l.nextPurgeAt}):`–`})]})]}),[...l.missing,...l.detached].map(e=>(0,j.jsx)(`p`,{className:`retention-missing`,children:e},e)),(0,j.jsx)(g,{caption:e.classes,rows:l.classes,keyOf:({name:e,tier:t,store:n})=>`${e} ${t} ${n}`,columns:[{name:`class`,title:e.class,cell:({name:e})=>t(`dataClass`,e)},{name:`store`,title:e.store,cell:({store:e})=>t(`stores`,e)},{name:`tier`,title:e.tier,cell:({tier:e})=>e},{name:`window`,title:e.window,figures:!0,cell:({windowDays:t})=>e.days(h(t))},{name:`most`,title:e.keptAtMost,figures:!0,cell:({keptAtMostDays:t})=>e.days(h(t))},{name:`everywhere`,title:e.unreadable,figures:!0,cell:({unreadableEverywhereDays:t})=>t==null?`–`:e.days(h(t))},{name:`oldest`,title:e.oldest,cell:({oldestServed:e})=>e?(0,j.jsx)(v,{at:e}):`–`},{name:`overdue`,title:e.overdue,figures:!0,cell:({overdue:e})=>e===`0`?`0`:(0,j.jsx)(`span`,{className:`badge badge-bad`,children:h(e)})},{name:`hidden`,title:e.hidden,figures:!0,cell:({hidden:e})=>h(e)},{name:`held`,title:e.held,figures:!0,cell:({held:e})=>h(e)},{name:`keys`,title:e.keys,figures:!0,cell:({keys:e})=>`${h(e.live)} / ${h(e.destroyed)} / ${h(e.lost)}`},{name:`next`,title:e.nextPurge,cell:({nextPurgeAt:e})=>e?(0,j.jsx)(v,{at:e}):`–`}]}),(0,j.jsxs)(`p`,{className:`quiet`,children:[e.asOf,` `,(0,j.jsx)(v,{at:l.asOf}),` · `,e.policyDigest,` `,(0,j.jsx)(s,{text:l.policyDigest,shown:l.policyDigest.slice(0,19)})]})]})}function M({name:e,good:t,children:r}){let i=n(C);return(0,j.jsxs)(`div`,{className:`figure`,children:[(0,j.jsx)(`dt`,{children:e}),(0,j.jsxs)(`dd`,{children:[r,` `,(0,j.jsx)(`span`,{className:t?`badge badge-good`:`badge badge-bad`,children:t?i.asItShould:i.lookHere})]})]})}var N=e=>e?(0,j.jsx)(v,{at:e}):`–`,P=e=>e==null?`–`:`#${e}`;function ie(){let e=n(C),t=w(),r=o(),{data:i,problem:c,again:l}=_(E,{purges:r.mayAsk(`purgeRuns`),holds:r.mayAsk(`holds`),erasures:r.mayAsk(`erasures`)});return c?(0,j.jsx)(y,{problem:c,again:l}):i?(0,j.jsxs)(`div`,{className:`retention-part`,children:[(0,j.jsx)(F,{caption:e.purgeRuns,none:e.noPurges,rows:i.purgeRuns?.nodes,columns:[{name:`planned`,title:e.planned,cell:e=>N(e.plannedAt)},{name:`state`,title:e.state,cell:({state:e})=>(0,j.jsx)(`span`,{className:e===`DONE`?`badge badge-good`:e===`FAILED`?`badge badge-bad`:`badge`,children:t(`purges`,e)})},{name:`by`,title:e.by,cell:e=>(0,j.jsx)(`code`,{children:e.requestedBy??`–`})},{name:`partitions`,title:e.partitions,figures:!0,cell:e=>h(e.partitions.length)},{name:`rows`,title:e.rows,figures:!0,cell:e=>h(String(e.partitions.reduce((e,t)=>e+BigInt(t.rows),0n)))},{name:`keys`,title:e.keysDestroyed,figures:!0,cell:e=>h(e.keysDestroyed)},{name:`held`,title:e.held,figures:!0,cell:e=>h(e.rowsHeldBack)},{name:`ended`,title:e.ended,cell:e=>N(e.finishedAt)},{name:`entry`,title:e.entry,figures:!0,cell:e=>P(e.ledgerIndex)},{name:`failure`,title:e.failure,cell:e=>e.failure??`–`}]}),(0,j.jsx)(F,{caption:e.holds,none:e.noHolds,rows:i.holds?.nodes,columns:[{name:`name`,title:e.name,cell:e=>e.name},{name:`owner`,title:e.owner,cell:e=>e.owner},{name:`account`,title:e.account,cell:({scope:e})=>[e.account,e.model].filter(Boolean).join(` · `)},{name:`reason`,title:e.reason,cell:t=>t.reason??e.erased},{name:`placed`,title:e.placed,cell:e=>N(e.placedAt)},{name:`state`,title:e.state,cell:t=>(0,j.jsx)(`span`,{className:t.liftedAt?`badge`:`badge badge-warn`,children:t.liftedAt?e.lifted:e.inForce})},{name:`ends`,title:e.ended,cell:e=>N(e.liftedAt??e.expiresAt)},{name:`rows`,title:e.rows,figures:!0,cell:e=>h(e.rows)},{name:`entry`,title:e.entry,figures:!0,cell:e=>P(e.ledgerIndex)}]}),(0,j.jsx)(F,{caption:e.erasures,none:e.noErasures,rows:i.erasures?.nodes,columns:[{name:`id`,title:e.id,cell:({id:e})=>(0,j.jsx)(s,{text:e,shown:`${e.slice(0,12)}…`})},{name:`kind`,title:e.whom,cell:({kind:t})=>t===`USER`?e.person:e.account},{name:`account`,title:e.account,cell:e=>e.account},{name:`state`,title:e.state,cell:({state:e})=>(0,j.jsx)(`span`,{className:e===`DONE`?`badge badge-good`:`badge badge-warn`,children:t(`erasureStates`,e)})},{name:`asked`,title:e.asked,cell:e=>N(e.requestedAt)},{name:`ended`,title:e.ended,cell:e=>N(e.finishedAt)},{name:`rows`,title:e.rows,figures:!0,cell:e=>h(e.rows)},{name:`blocked`,title:e.blocked,figures:!0,cell:e=>h(e.blockedByHolds.length)},{name:`backups`,title:e.backups,cell:e=>N(e.unreadableInBackupsAt)},{name:`entry`,title:e.entry,figures:!0,cell:e=>P(e.ledgerIndex)}]})]}):(0,j.jsx)(a,{lines:8})}function F({caption:e,none:t,rows:n,columns:r}){return n===void 0?null:n.length===0?(0,j.jsx)(c,{title:t}):(0,j.jsx)(g,{caption:e,rows:n,keyOf:({id:e})=>e,columns:r})}var I=b(x(),1),ae=`calledger attest`,oe=1500;function L(){let e=n(C),t=p(),[a,o]=(0,I.useState)(``),[s,c]=(0,I.useState)(null),[u,d]=(0,I.useState)(!1),[f,m]=(0,I.useState)(null),h=async()=>{d(!0);let{data:e,error:n}=await t.mutation(A,{input:a===``?{}:{sinceSize:a}}).toPromise();m(i(n)),c(e?.createEvidence?.export.id??null),d(!1)};return(0,j.jsxs)(`form`,{className:`verification`,onSubmit:e=>{e.preventDefault(),h()},children:[(0,j.jsx)(`h2`,{children:e.evidence}),(0,j.jsx)(`p`,{className:`quiet`,children:e.evidenceWhy}),(0,j.jsxs)(`label`,{children:[e.since,(0,j.jsx)(`input`,{inputMode:`numeric`,pattern:`[0-9]{1,18}`,value:a,onChange:e=>o(e.target.value)})]}),(0,j.jsx)(r,{type:`submit`,busy:u,icon:`download`,children:e.makeEvidence}),f&&(0,j.jsx)(l,{problem:f}),s!==null&&(0,j.jsx)(se,{id:s}),(0,j.jsx)(`p`,{className:`quiet`,children:e.attest}),(0,j.jsx)(`pre`,{className:`mono`,children:ae})]})}function se({id:e}){let t=n(C),{data:r,problem:i,again:a}=_(ne,{id:e}),o=r?.export,c=o==null||o.state===`QUEUED`||o.state===`RUNNING`;return(0,I.useEffect)(()=>{if(!c)return;let e=setInterval(a,oe);return()=>clearInterval(e)},[c,a]),i?(0,j.jsx)(l,{problem:i,again:a}):c?(0,j.jsx)(`p`,{role:`status`,children:t.making(h(o?.rows??`0`))}):o.signedUrl==null?(0,j.jsx)(`p`,{role:`alert`,children:o.failure??t.gone}):(0,j.jsxs)(`p`,{role:`status`,className:`retention-bar`,children:[(0,j.jsx)(`a`,{className:`button button-primary`,href:new URL(`..${o.signedUrl}`,document.baseURI).href,download:!0,children:t.download(h(o.bytes??`0`))}),o.sha256!=null&&(0,j.jsx)(s,{text:o.sha256,shown:o.sha256.slice(0,23)})]})}function R(e){let t;try{t=atob(e)}catch{return null}return btoa(t)===e?Uint8Array.from(t,e=>e.charCodeAt(0)):null}function z(e){return Array.from(e,e=>e.toString(16).padStart(2,`0`)).join(``)}function B(...e){let t=new Uint8Array(e.reduce((e,t)=>e+t.length,0)),n=0;for(let r of e)t.set(r,n),n+=r.length;return t}function V(e,t){return e.length===t.length&&e.every((e,n)=>e===t[n])}async function H(e){return new Uint8Array(await crypto.subtle.digest(`SHA-256`,e))}function U(e){return new TextEncoder().encode(e)}function W(e){let t=R(e);if(t===null)return null;let n=G(t);if(typeof n!=`object`||!n)return null;let{kind:r,actor:i,recorded_at:a,facts:o}=n;return typeof r!=`string`||typeof i!=`string`||typeof a!=`string`?null:{kind:r,actor:i,recordedAt:a,facts:(typeof o==`object`&&o?Object.entries(o):[]).map(([e,t])=>[e,typeof t==`string`?t:JSON.stringify(t)])}}function G(e){try{return JSON.parse(new TextDecoder(`utf-8`,{fatal:!0}).decode(e))}catch{return null}}var ce=1,K=4;async function le(e){let[,t,n,r]=/^([^+\s]{1,200})\+([0-9a-f]{8})\+(\S{1,100})$/.exec(e.trim())??[],i=r===void 0?null:R(r);return t===void 0||n===void 0||i===null||i.length!==33||i[0]!==ce?`badKey`:z((await H(B(U(t),Uint8Array.of(10),i))).slice(0,K))===n?{origin:t,id:n,publicKey:i.slice(1)}:`badKey`}function ue(e){let t=e.indexOf(`

`);if(t<0||e.length>1e4)return null;let n=e.slice(0,t+1),[r,i,a,o,...s]=n.split(`
`),c=R(a??``);if(!r||!/^(0|[1-9]\d{0,17})$/.test(i??``)||c?.length!==32||o!==``||s.length>0)return null;let l=e.slice(t+2).split(`
`).flatMap(e=>{let[,t,n]=/^— (\S+) (\S+)$/.exec(e)??[],r=R(n??``);return t===void 0||r===null||r.length!==68?[]:[[t,r]]});return{checkpoint:{origin:r,size:BigInt(i??`0`),root:c},text:n,signatures:l}}async function de(e){if(globalThis.crypto?.subtle===void 0)return`noCrypto`;try{return await crypto.subtle.importKey(`raw`,e,{name:`Ed25519`},!1,[`verify`])}catch{return`noEd25519`}}async function q(e,t){if(globalThis.crypto?.subtle===void 0)return`noCrypto`;let n=await le(t);if(n===`badKey`)return n;let r=ue(e);if(r===null)return`badCheckpoint`;if(r.checkpoint.origin!==n.origin)return`otherLedger`;let i=await de(n.publicKey);if(typeof i==`string`)return i;let a=r.signatures.find(([e,t])=>e===n.origin&&z(t.slice(0,K))===n.id)?.[1];return a===void 0?`otherKey`:await crypto.subtle.verify({name:`Ed25519`},i,a.slice(K),U(r.text))?r.checkpoint:`badSignature`}var J=32;function fe(e){return H(B(Uint8Array.of(0),e))}function Y(e,t){return H(B(Uint8Array.of(1),e,t))}async function pe(e,t,n,r,i){if(t<0n||t>=n||i.some(e=>e.length!==J))return!1;let a=t,o=n-1n,s=await fe(e);for(let e of i){if(o===0n)return!1;if((a&1n)==1n||a===o)for(s=await Y(e,s);(a&1n)==0n&&a!==0n;)[a,o]=[a>>1n,o>>1n];else s=await Y(s,e);[a,o]=[a>>1n,o>>1n]}return o===0n&&V(s,r)}function X(e,t){return(e&1n)==1n?X(e>>1n,t>>1n):[e,t]}async function me(e,t,n,r,i){if(e<=0n||e>t)return!1;if(e===t)return i.length===0&&V(n,r);let a=(e&e-1n)==0n?[n,...i]:[...i],[o,s]=X(e-1n,t-1n),[c,...l]=a;if(c===void 0)return!1;let u=c,d=c;for(let e of l){if(s===0n)return!1;if((o&1n)==1n||o===s)for([u,d]=[await Y(e,u),await Y(e,d)];(o&1n)==0n&&o!==0n;)[o,s]=[o>>1n,s>>1n];else d=await Y(d,e);[o,s]=[o>>1n,s>>1n]}return s===0n&&V(u,n)&&V(d,r)}function Z(e){let t=(e??[]).map(R);return e===void 0||t.includes(null)?null:t}async function he(e,t){let{data:n}=await e.query(D,{}).toPromise();return n?.checkpoint?q(n.checkpoint.note,t):`badCheckpoint`}async function ge(e,t,n,r){if(BigInt(n)>=t.size)return`notCovered`;let{data:i}=await e.query(O,{index:n,size:String(t.size)}).toPromise(),a=Z(i?.inclusionProof?.hashes),o=R(r);return a===null||o===null?`noProof`:await pe(o,BigInt(n),t.size,t.root,a)?null:`notIncluded`}async function _e(e,t,n,r){let i=await q(`${n.replaceAll(`\r`,``).trimEnd()}\n`,r);if(typeof i==`string`)return i;if(i.size>t.size)return`notContinued`;if(i.size===0n)return null;let{data:a}=await e.query(k,{from:String(i.size),to:String(t.size)}).toPromise(),o=Z(a?.consistencyProof?.hashes);return o===null?`noProof`:await me(i.size,t.size,i.root,t.root,o)?null:`notContinued`}var ve=`calledger/…+00000000+AQ…`,Q=8;function ye({entries:e,proved:t}){let i=n(C),a=w(),o=p(),[s,c]=(0,I.useState)(``),[l,u]=(0,I.useState)(``),[d,f]=(0,I.useState)(!1),[m,g]=(0,I.useState)(null),_=async()=>{f(!0),t(new Map);let n=await he(o,s);if(typeof n==`string`){g(n),f(!1);return}let r=new Map;for(let t=0;t<e.length;t+=Q)await Promise.all(e.slice(t,t+Q).map(async({index:e,leaf:t})=>r.set(e,await ge(o,n,e,t))));let i=l.trim()===``?void 0:await _e(o,n,l,s),a=[...r.values()],c=a.filter(e=>e===null).length,u=a.filter(e=>e===`notCovered`).length;t(r),g({checkpoint:n,good:c,uncovered:u,bad:a.length-c-u,history:i}),f(!1)};return(0,j.jsxs)(`form`,{className:`verification`,onSubmit:e=>{e.preventDefault(),_()},children:[(0,j.jsx)(`h2`,{children:i.verify}),(0,j.jsx)(`p`,{className:`quiet`,children:i.verifyWhy}),(0,j.jsxs)(`label`,{children:[i.key,(0,j.jsx)(`input`,{className:`mono`,required:!0,spellCheck:!1,autoComplete:`off`,placeholder:ve,value:s,onChange:e=>c(e.target.value)})]}),(0,j.jsxs)(`label`,{children:[i.kept,(0,j.jsx)(`textarea`,{className:`mono`,rows:2,spellCheck:!1,value:l,onChange:e=>u(e.target.value)})]}),(0,j.jsx)(r,{kind:`primary`,type:`submit`,busy:d,disabled:e.length===0,children:i.verifyEntries(h(e.length))}),(0,j.jsxs)(`div`,{role:`status`,children:[typeof m==`string`&&(0,j.jsx)(`p`,{className:`verdict verdict-bad`,children:i.notVerified(a(`doubts`,m))}),m!==null&&typeof m!=`string`&&(0,j.jsxs)(`div`,{className:m.bad===0&&!m.history?`verdict verdict-good`:`verdict verdict-bad`,children:[(0,j.jsx)(`p`,{children:m.bad===0?i.allVerified(h(m.good),h(String(m.checkpoint.size))):i.someBad(h(m.bad))}),m.uncovered>0&&(0,j.jsx)(`p`,{children:i.uncovered(h(m.uncovered))}),m.history!==void 0&&(0,j.jsx)(`p`,{children:m.history===null?i.continued:a(`doubts`,m.history)})]})]})]})}var be=[`ERROR_REVEALED`,`EXPORTED`,`EVIDENCE_CREATED`,`ATTESTED`,`SESSION_TOKENS_CREATED`],xe=100,$=26;function Se(){let e=n(C),i=w(),[o,s]=t(),{period:l,change:u}=f(),p=o.get(`who`)===`1`,[m,h]=(0,I.useState)([null]),[b,x]=(0,I.useState)(new Map),S=(0,I.useMemo)(()=>({recordedAt:{gte:l.from,lt:l.to},...p&&{kind:{in:be}}}),[l,p]),{data:T,problem:E,again:D}=_(ee,{filter:S,first:xe,after:m.at(-1)??null}),O=T?.ledger,k=(0,I.useMemo)(()=>(O?.nodes??[]).map(e=>({...e,says:W(e.leaf)})).toReversed(),[O]);return(0,j.jsxs)(`div`,{className:`retention-part`,children:[(0,j.jsx)(ye,{entries:k,proved:x}),(0,j.jsxs)(`div`,{className:`retention-bar`,children:[(0,j.jsx)(d,{label:e.which,options:[{value:`all`,text:e.allEntries},{value:`looks`,text:e.whoLooked}],value:p?`looks`:`all`,change:e=>{h([null]),s({who:e===`looks`?`1`:null})}}),m.length>1&&(0,j.jsx)(r,{icon:`left`,onClick:()=>h(m.slice(0,-1)),children:e.older}),O?.pageInfo.hasNextPage&&(0,j.jsx)(r,{icon:`right`,onClick:()=>h([...m,O.pageInfo.endCursor??null]),children:e.newer})]}),E&&(0,j.jsx)(y,{problem:E,again:D}),!E&&!O&&(0,j.jsx)(a,{lines:8}),O&&k.length===0&&(0,j.jsx)(c,{title:e.noEntries,children:(0,j.jsx)(`p`,{className:`empty-actions`,children:(0,j.jsx)(r,{onClick:()=>u({kind:`relative`,last:`90d`}),children:e.lastQuarter})})}),k.length>0&&(0,j.jsx)(g,{caption:p?e.whoLooked:e.entries,rows:k,keyOf:({index:e})=>e,columns:[{name:`index`,title:e.entry,figures:!0,cell:({index:e})=>`#${e}`},{name:`proof`,title:e.proof,cell:({index:t})=>{let n=b.get(t);return n===void 0?`–`:(0,j.jsx)(`span`,{className:n===null?`badge badge-good`:`badge badge-bad`,children:n===null?e.verified:i(`doubts`,n)})}},{name:`at`,title:e.time,cell:({recordedAt:e})=>(0,j.jsx)(v,{at:e})},{name:`kind`,title:e.kind,cell:({says:e,kind:t})=>(0,j.jsx)(`code`,{children:e?.kind??t})},{name:`actor`,title:e.by,cell:({says:e,actor:t})=>(0,j.jsx)(`code`,{children:e?.actor??t})},{name:`facts`,title:e.facts,cell:({says:t})=>(0,j.jsx)(`span`,{className:`facts`,children:t===null?e.unreadableLeaf:t.facts.map(([e,t])=>(0,j.jsxs)(`span`,{title:t,children:[(0,j.jsx)(`b`,{children:e}),` `,(0,j.jsx)(`code`,{children:t.length>$?`${t.slice(0,$)}…`:t})]},e))})},{name:`note`,title:e.note,cell:({note:e})=>(0,j.jsx)(`span`,{className:`facts`,children:e??`–`})}]})]})}var Ce={SEE:`badge badge-good`,MASKED:`badge badge-warn`,DENIED:`badge`};function we(){let e=n(C),t=n(u).role,r=w(),i=o(),[l,d]=(0,I.useState)(``),{data:f,problem:p,again:m}=_(te,{}),h=f?.policy;if(p)return(0,j.jsx)(y,{problem:p,again:m});if(!h)return(0,j.jsx)(a,{lines:10});let b=h.fields.filter(({field:e})=>e.toLowerCase().includes(l.toLowerCase())),x=h.fields[0]?.views.map(e=>e.role)??[];return(0,j.jsxs)(`div`,{className:`retention-part`,children:[(0,j.jsxs)(`div`,{className:`retention-bar`,children:[(0,j.jsxs)(`h2`,{children:[h.name,` `,h.version]}),(0,j.jsx)(s,{text:h.digest,shown:h.digest.slice(0,19)}),(0,j.jsxs)(`span`,{className:`quiet`,children:[e.applied,` `,(0,j.jsx)(v,{at:h.appliedAt}),` · `,e.by,` `,h.appliedBy,h.approvedBy&&` · ${e.approved} ${h.approvedBy}`]})]}),(0,j.jsxs)(`label`,{className:`retention-find`,children:[(0,j.jsx)(`span`,{className:`unseen`,children:e.find}),(0,j.jsx)(`input`,{"data-filter":!0,type:`search`,placeholder:e.find,value:l,onChange:e=>d(e.target.value)})]}),b.length===0?(0,j.jsx)(c,{title:e.noField}):(0,j.jsx)(g,{caption:e.fields,rows:b,keyOf:({field:e})=>e,columns:[{name:`field`,title:e.field,cell:({field:e})=>(0,j.jsx)(`code`,{children:e})},{name:`class`,title:e.class,cell:e=>r(`dataClass`,e.class)},{name:`action`,title:e.action,cell:({action:e})=>r(`actions`,e)},{name:`store`,title:e.store,cell:({store:e})=>r(`stores`,e)},...x.map(n=>({name:n,title:n===i.role?`${t[n]} (${e.you})`:t[n],cell:({views:e})=>{let t=e.find(e=>e.role===n)?.view??`DENIED`;return(0,j.jsx)(`span`,{className:Ce[t],children:r(`views`,t)})}}))]}),(0,j.jsxs)(`details`,{children:[(0,j.jsx)(`summary`,{children:e.document}),(0,j.jsx)(`pre`,{className:`mono retention-document`,tabIndex:0,children:h.document})]})]})}var Te=[{name:`kept`,roots:[`retention`]},{name:`gone`,roots:[`purgeRuns`,`holds`,`erasures`]},{name:`ledger`,roots:[`ledger`]},{name:`policy`,roots:[`policy`]}];function Ee(){let e=n(C),r=o(),[i,a]=t(),s=Te.filter(({roots:e})=>e.some(e=>r.mayAsk(e))),c=s.find(({name:e})=>e===i.get(`part`))??s[0];return(0,j.jsxs)(`div`,{className:`page-body retention`,children:[(0,j.jsx)(d,{label:e.part,options:s.map(({name:t})=>({value:t,text:e.parts[t]})),value:c?.name??`kept`,change:e=>a({part:e})}),c?.name===`kept`&&(0,j.jsx)(re,{}),c?.name===`gone`&&(0,j.jsx)(ie,{}),c?.name===`ledger`&&(0,j.jsxs)(j.Fragment,{children:[(0,j.jsx)(Se,{}),r.mayAsk(`createEvidence`)&&(0,j.jsx)(L,{})]}),c?.name===`policy`&&(0,j.jsx)(we,{})]})}export{Ee as default};