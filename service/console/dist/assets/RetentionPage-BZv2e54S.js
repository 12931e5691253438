import{K as e,U as t,V as n,a as r,f as i,l as a,n as o,o as s,r as c,s as l,t as u}from"./Empty-BfgApZrn.js";import{c as d,l as f,s as p}from"./index-CkhWhEJl.js";import{a as m,n as h,r as g,t as _}from"./Moment-CML5bCIn.js";import{t as v}from"./NoAnswer-eAnr6-3V.js";import{c as y,f as b,h as x,v as S}from"./zone-DXQPei4g.js";import{n as C,t as w}from"./Pager-gJRbhRL-.js";import{n as T}from"./RangeContext-CAghGEn1.js";var E=t({part:`Part`,parts:{kept:`What is kept`,gone:`Purges, holds, erasures`,ledger:`Ledger`,policy:`Policy`},overdue:`Overdue rows`,lostKeys:`Lost keys`,missing:`Missing protections`,detached:`Detached partitions`,lastPurge:`Last purge`,nextPurge:`Next purge`,asItShould:`as it should be`,lookHere:`look here`,classes:`Classes of data`,class:`Class`,store:`Store`,tier:`Tier`,window:`Window`,keptAtMost:`Kept at most`,unreadable:`In no backup after`,days:e=>`${e} d`,oldest:`Oldest that is served`,hidden:`Hidden rows`,held:`Held rows`,keys:`Keys: live / destroyed / lost`,asOf:`As of`,policyDigest:`policy`,purgeRuns:`Purges`,noPurges:`No purge so far.`,planned:`Planned`,state:`State`,by:`By`,partitions:`Partitions`,rows:`Rows`,keysDestroyed:`Keys destroyed`,ended:`Ended, or ends`,entry:`Entry`,failure:`Failure`,holds:`Legal holds`,noHolds:`No hold was ever placed.`,name:`Name`,owner:`Owner`,account:`Account`,reason:`Reason`,erased:`erased`,placed:`Placed`,lifted:`Lifted`,inForce:`In force`,erasures:`Erasures`,noErasures:`Nobody asked for an erasure.`,id:`Id`,whom:`Whom`,person:`A person`,asked:`Asked for`,blocked:`Holds in the way`,backups:`In no backup from`,which:`Entries`,allEntries:`All entries`,whoLooked:`Who looked`,older:`Older entries`,newer:`Newer entries`,noEntries:`No entry of the ledger in this time.`,lastQuarter:`Last 90 days`,entries:`Entries of the ledger`,proof:`Proof`,time:`Time`,kind:`Kind`,facts:`Facts`,note:`Note`,unreadableLeaf:`This leaf cannot be read.`,verified:`verified`,verify:`Verify in this browser`,verifyWhy:`Paste the verifier key that you were given by another way. This browser checks the signature of the newest checkpoint, and that each entry shown here is in the tree it signs. Nothing is taken on the service's word.`,key:`Verifier key`,kept:`A checkpoint that you kept (optional): does the ledger still begin with it?`,verifyEntries:e=>e===`1`?`Verify 1 entry`:`Verify ${e} entries`,allVerified:(e,t)=>`Verified: ${e===`1`?`1 entry`:`${e} entries`}, by the signed checkpoint of ${t} entries.`,someBad:e=>e===`1`?`NOT verified: 1 entry is not what was signed.`:`NOT verified: ${e} entries are not what was signed.`,notVerified:e=>`NOT verified. ${e}`,uncovered:e=>`${e===`1`?`1 newer entry is`:`${e} newer entries are`} not covered yet: the next checkpoint is signed within minutes.`,continued:`Nothing was changed or removed that your checkpoint covers.`,doubts:{noCrypto:`This browser checks nothing here: open the console by https, or on this machine.`,noEd25519:`This browser knows no Ed25519 signatures. Use a newer one, or calledger verify.`,badKey:`This is no verifier key, or a mistyped one.`,badCheckpoint:`What is there is no signed checkpoint.`,otherLedger:`The checkpoint is of another ledger than the key.`,otherKey:`The checkpoint is signed by another key than yours.`,badSignature:`The signature does not fit: the checkpoint was changed.`,notCovered:`not covered yet`,noProof:`There is no proof of it.`,notIncluded:`not what was signed`,notContinued:`The ledger does not begin with what your checkpoint covers: history was changed.`},evidence:`Evidence to take away`,evidenceWhy:`A signed bundle of the ledger's entries and policies. calledger verify checks it anywhere, without a server.`,since:`Size of the checkpoint that you hold (optional): only what came after it`,makeEvidence:`Make a bundle`,making:e=>e===`1`?`It is being written: 1 entry so far.`:`It is being written: ${e} entries so far.`,gone:`The file is gone: make it again.`,download:e=>`Download (${e} bytes)`,statements:`Statements of retention`,statementsWhy:`A statement says what is kept, that nothing older is here and what was destroyed. It looks at every key and entry, and at each row that may have changed since an earlier run. The service makes it while it runs, or the operator does with calledger attest.`,keptByOperator:`What is listed is what the operator made and kept. Take the file away and verify it with the key that you were given by another way: only its signature, and a checkpoint that you kept yourself, prove anything.`,makeStatement:`Make a statement`,noStatements:`No statement was made in the last 400 days.`,lookedBack:`Looks back on`,result:`Result`,checkpoint:`Checkpoint`,digest:`Digest`,file:`File`,downloadFile:`Download`,downloadStatement:e=>`Download the statement of entry #${e}`,queued:`Waits for the service`,checking:`It is being made`,checked:(e,t)=>`${e} of ${t} checks`,allMet:`all requirements met`,notMet:e=>e===`1`?`1 requirement NOT met`:`${e} requirements NOT met`,failed:`Failed`,applied:`Put in force`,approved:`approved by`,find:`Find a field, such as Call.user`,noField:`No field has this in its name.`,fields:`Fields, and what each role gets`,field:`Field`,action:`What is done with it`,you:`you`,document:`The policy's own text`,dataClass:{OPERATIONAL:`Operational`,BILLING:`Billing`,PERSONAL:`Personal`,SECRET:`Secret`,CONTENT:`Content`},stores:{CALL:`Calls`,CALL_ERROR:`Errors`,USAGE_QUARTER:`Sums by 15 min`,USAGE_DAY:`Sums by day`},views:{SEE:`sees`,MASKED:`masked`,DENIED:`denied`},actions:{KEEP:`kept`,MASK:`masked for good`,HASH:`pseudonym`,SEAL:`sealed`,DROP:`not kept`},purges:{REQUESTED:`Asked for`,PLANNED:`Planned`,HOLDS_CHECKED:`Holds checked`,INTENT_LEDGERED:`In the ledger`,KEYS_DESTROYED:`Keys destroyed`,DETACHED:`Detached`,DROPPED:`Dropped`,VERIFIED:`Verified`,DONE:`Done`,FAILED:`Failed`},erasureStates:{REQUESTED:`Asked for`,RESTRICTED:`Restricted`,DONE:`Done`}},{part:`部分`,parts:{kept:`保留情况`,gone:`清除、保全、删除`,ledger:`账本`,policy:`策略`},overdue:`逾期行数`,lostKeys:`丢失的密钥`,missing:`缺失的保护`,detached:`已分离的分区`,lastPurge:`上次清除`,nextPurge:`下次清除`,asItShould:`正常`,lookHere:`需关注`,classes:`数据类别`,class:`类别`,store:`存储`,tier:`等级`,window:`保留期`,keptAtMost:`最长保留`,unreadable:`备份中亦不可读`,days:e=>`${e} 天`,oldest:`可查询的最早时间`,hidden:`已隐藏行数`,held:`保全行数`,keys:`密钥：有效 / 已销毁 / 丢失`,asOf:`截至`,policyDigest:`策略`,purgeRuns:`清除记录`,noPurges:`尚未执行过清除。`,planned:`计划时间`,state:`状态`,by:`执行者`,partitions:`分区数`,rows:`行数`,keysDestroyed:`销毁的密钥`,ended:`结束时间`,entry:`条目`,failure:`失败原因`,holds:`法律保全`,noHolds:`从未设置过保全。`,name:`名称`,owner:`负责人`,account:`账户`,reason:`原因`,erased:`已删除`,placed:`设置时间`,lifted:`已解除`,inForce:`生效中`,erasures:`删除请求`,noErasures:`没有删除请求。`,id:`编号`,whom:`对象`,person:`个人`,asked:`请求时间`,blocked:`受阻于保全`,backups:`备份中不可读起始`,which:`条目范围`,allEntries:`全部条目`,whoLooked:`谁查看过`,older:`更早的条目`,newer:`更新的条目`,noEntries:`此时间段内账本没有条目。`,lastQuarter:`最近 90 天`,entries:`账本条目`,proof:`证明`,time:`时间`,kind:`类型`,facts:`内容`,note:`备注`,unreadableLeaf:`无法读取此叶子。`,verified:`已验证`,verify:`在此浏览器中验证`,verifyWhy:`粘贴您通过其他途径获得的验证密钥。浏览器将检查最新检查点的签名，以及此处显示的每个条目是否在其签名的树中。不依赖服务的任何声明。`,key:`验证密钥`,kept:`您保存的检查点（可选）：账本是否仍以它开头？`,verifyEntries:e=>`验证 ${e} 个条目`,allVerified:(e,t)=>`已验证：${e} 个条目，依据含 ${t} 个条目的签名检查点。`,someBad:e=>`未通过验证：${e} 个条目与签名内容不符。`,notVerified:e=>`未通过验证。${e}`,uncovered:e=>`${e} 个较新条目尚未被覆盖：下一个检查点将在几分钟内签名。`,continued:`您的检查点所覆盖的内容没有被更改或移除。`,doubts:{noCrypto:`此浏览器在此处无法验证：请通过 https 或在本机打开控制台。`,noEd25519:`此浏览器不支持 Ed25519 签名。请使用较新的浏览器，或使用 calledger verify。`,badKey:`这不是验证密钥，或输入有误。`,badCheckpoint:`返回的不是签名的检查点。`,otherLedger:`检查点属于另一个账本。`,otherKey:`检查点由另一个密钥签名。`,badSignature:`签名不符：检查点已被更改。`,notCovered:`尚未覆盖`,noProof:`没有相应的证明。`,notIncluded:`与签名内容不符`,notContinued:`账本不再以您的检查点所覆盖的内容开头：历史已被更改。`},evidence:`可带走的证据`,evidenceWhy:`账本条目与策略的签名包。calledger verify 可在任何地方离线验证。`,since:`您持有的检查点大小（可选）：仅包含其后的内容`,makeEvidence:`生成证据包`,making:e=>`正在写入：已有 ${e} 个条目。`,gone:`文件已不存在，请重新生成。`,download:e=>`下载（${e} 字节）`,statements:`保留声明`,statementsWhy:`声明说明保留了什么、没有更早的数据留存以及销毁了什么。它会检查每个密钥和每个条目，以及自上次检查以来可能有变化的每一行。由运行中的服务生成，或由运维人员用 calledger attest 生成。`,keptByOperator:`此处列出的是运维人员生成并保存的内容。请下载文件，并用您通过其他途径获得的密钥验证：只有其签名以及您自己保存的检查点才能证明。`,makeStatement:`生成声明`,noStatements:`最近 400 天没有生成过声明。`,lookedBack:`回溯`,result:`结果`,checkpoint:`检查点`,digest:`摘要`,file:`文件`,downloadFile:`下载`,downloadStatement:e=>`下载条目 #${e} 的声明`,queued:`等待服务处理`,checking:`正在生成`,checked:(e,t)=>`已完成 ${e} / ${t} 项检查`,allMet:`全部要求均已满足`,notMet:e=>`${e} 项要求未满足`,failed:`失败`,applied:`生效时间`,approved:`批准者`,find:`查找字段，例如 Call.user`,noField:`没有名称包含此内容的字段。`,fields:`字段及各角色可见内容`,field:`字段`,action:`处理方式`,you:`您`,document:`策略原文`,dataClass:{OPERATIONAL:`运营`,BILLING:`计费`,PERSONAL:`个人`,SECRET:`机密`,CONTENT:`内容`},stores:{CALL:`调用`,CALL_ERROR:`错误`,USAGE_QUARTER:`每 15 分钟汇总`,USAGE_DAY:`每日汇总`},views:{SEE:`可见`,MASKED:`脱敏`,DENIED:`不可见`},actions:{KEEP:`保留`,MASK:`永久脱敏`,HASH:`假名`,SEAL:`密封`,DROP:`不保留`},purges:{REQUESTED:`已请求`,PLANNED:`已计划`,HOLDS_CHECKED:`已检查保全`,INTENT_LEDGERED:`已入账本`,KEYS_DESTROYED:`密钥已销毁`,DETACHED:`已分离`,DROPPED:`已删除`,VERIFIED:`已核实`,DONE:`完成`,FAILED:`失败`},erasureStates:{REQUESTED:`已请求`,RESTRICTED:`受限`,DONE:`完成`}});function D(){let e=n(E),t={dataClass:e.dataClass,stores:e.stores,views:e.views,actions:e.actions,purges:e.purges,erasureStates:e.erasureStates,doubts:e.doubts};return(e,n)=>t[e][n]??n}var O=o(`
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
`),k=o(`
  query Destroyed($purges: Boolean!, $holds: Boolean!, $erasures: Boolean!, $purgesAfter: String, $holdsAfter: String, $erasuresAfter: String) {
    purgeRuns(first: 20, after: $purgesAfter) @include(if: $purges) {
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
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    holds(first: 50, after: $holdsAfter) @include(if: $holds) {
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
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    erasures(first: 50, after: $erasuresAfter) @include(if: $erasures) {
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
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`),A=o(`
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
`),j=o(`
  query NewestCheckpoint {
    checkpoint {
      size
      note
      issuedAt
      publicKey
    }
  }
`),M=o(`
  query ProofOfEntry($index: BigInt!, $size: BigInt!) {
    inclusionProof(index: $index, size: $size) {
      hashes
    }
  }
`),ee=o(`
  query ProofOfHistory($from: BigInt!, $to: BigInt!) {
    consistencyProof(from: $from, to: $to) {
      hashes
    }
  }
`),te=o(`
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
`),ne=o(`
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
`),re=o(`
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
`),ie=o(`
  query Statements($after: String) {
    attestations(first: 10, after: $after) {
      nodes {
        id
        state
        requestedAt
        requestedBy
        days
        checks
        checksDone
        unmet
        digest
        ledgerIndex
        checkpointSize
        signedUrl
        failure
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`),ae=o(`
  mutation MakeStatement {
    requestAttestation(input: {}) {
      attestation {
        id
      }
    }
  }
`),N=b();function P(){let e=n(E),t=D(),{data:i,problem:a,waiting:o,again:s}=g(O,{}),c=i?.retention;if(a&&!c)return(0,N.jsx)(v,{problem:a,again:s});if(!c)return(0,N.jsx)(r,{lines:8});let u=c.classes.reduce((e,t)=>e+BigInt(t.overdue),0n),d=c.classes.reduce((e,t)=>e+BigInt(t.keys.lost),0n);return(0,N.jsxs)(`div`,{className:`retention-part`,"aria-busy":o,children:[a&&(0,N.jsx)(v,{problem:a,again:s}),(0,N.jsxs)(`dl`,{className:`figures-grid`,children:[(0,N.jsx)(F,{name:e.overdue,good:u===0n,children:m(String(u))}),(0,N.jsx)(F,{name:e.lostKeys,good:d===0n,children:m(String(d))}),(0,N.jsx)(F,{name:e.missing,good:c.missing.length===0,children:c.missing.length}),(0,N.jsx)(F,{name:e.detached,good:c.detached.length===0,children:c.detached.length}),(0,N.jsxs)(`div`,{className:`figure`,children:[(0,N.jsx)(`dt`,{children:e.lastPurge}),(0,N.jsx)(`dd`,{children:c.lastPurge?.finishedAt?(0,N.jsx)(_,{at:c.lastPurge.finishedAt,text:y}):`–`})]}),(0,N.jsxs)(`div`,{className:`figure`,children:[(0,N.jsx)(`dt`,{children:e.nextPurge}),(0,N.jsx)(`dd`,{children:c.nextPurgeAt?(0,N.jsx)(_,{at:c.nextPurgeAt,text:y}):`–`})]})]}),[...c.missing,...c.detached].map(e=>(0,N.jsx)(`p`,{className:`retention-missing`,children:e},e)),(0,N.jsx)(h,{caption:e.classes,rows:c.classes,keyOf:({name:e,tier:t,store:n})=>`${e} ${t} ${n}`,columns:[{name:`class`,title:e.class,cell:({name:e})=>t(`dataClass`,e)},{name:`store`,title:e.store,cell:({store:e})=>t(`stores`,e)},{name:`tier`,title:e.tier,cell:({tier:e})=>e},{name:`window`,title:e.window,figures:!0,cell:({windowDays:t})=>e.days(m(t))},{name:`most`,title:e.keptAtMost,figures:!0,cell:({keptAtMostDays:t})=>e.days(m(t))},{name:`everywhere`,title:e.unreadable,figures:!0,cell:({unreadableEverywhereDays:t})=>t==null?`–`:e.days(m(t))},{name:`oldest`,title:e.oldest,cell:({oldestServed:e})=>e?(0,N.jsx)(_,{at:e}):`–`},{name:`overdue`,title:e.overdue,figures:!0,cell:({overdue:e})=>e===`0`?`0`:(0,N.jsx)(`span`,{className:`badge badge-bad`,children:m(e)})},{name:`hidden`,title:e.hidden,figures:!0,cell:({hidden:e})=>m(e)},{name:`held`,title:e.held,figures:!0,cell:({held:e})=>m(e)},{name:`keys`,title:e.keys,figures:!0,cell:({keys:e})=>`${m(e.live)} / ${m(e.destroyed)} / ${m(e.lost)}`},{name:`next`,title:e.nextPurge,cell:({nextPurgeAt:e})=>e?(0,N.jsx)(_,{at:e}):`–`}]}),(0,N.jsxs)(`p`,{className:`quiet`,children:[e.asOf,` `,(0,N.jsx)(_,{at:c.asOf}),` · `,e.policyDigest,` `,(0,N.jsx)(l,{text:c.policyDigest,shown:c.policyDigest.slice(0,19)})]})]})}function F({name:e,good:t,children:r}){let i=n(E);return(0,N.jsxs)(`div`,{className:`figure`,children:[(0,N.jsx)(`dt`,{children:e}),(0,N.jsxs)(`dd`,{children:[r,` `,(0,N.jsx)(`span`,{className:t?`badge badge-good`:`badge badge-bad`,children:t?i.asItShould:i.lookHere})]})]})}var I=e=>e?(0,N.jsx)(_,{at:e}):`–`,L=e=>e==null?`–`:`#${e}`;function oe(){let e=n(E),t=D(),i=d(),[a,o,s]=[C(),C(),C()],{data:c,problem:u,again:f}=g(k,{purgesAfter:a.after,holdsAfter:o.after,erasuresAfter:s.after,purges:i.mayAsk(`purgeRuns`),holds:i.mayAsk(`holds`),erasures:i.mayAsk(`erasures`)});return u?(0,N.jsx)(v,{problem:u,again:f}):c?(0,N.jsxs)(`div`,{className:`retention-part`,children:[(0,N.jsx)(R,{caption:e.purgeRuns,none:e.noPurges,pages:a,list:c.purgeRuns,columns:[{name:`planned`,title:e.planned,cell:e=>I(e.plannedAt)},{name:`state`,title:e.state,cell:({state:e})=>(0,N.jsx)(`span`,{className:e===`DONE`?`badge badge-good`:e===`FAILED`?`badge badge-bad`:`badge`,children:t(`purges`,e)})},{name:`by`,title:e.by,cell:e=>(0,N.jsx)(`code`,{children:e.requestedBy??`–`})},{name:`partitions`,title:e.partitions,figures:!0,cell:e=>m(e.partitions.length)},{name:`rows`,title:e.rows,figures:!0,cell:e=>m(String(e.partitions.reduce((e,t)=>e+BigInt(t.rows),0n)))},{name:`keys`,title:e.keysDestroyed,figures:!0,cell:e=>m(e.keysDestroyed)},{name:`held`,title:e.held,figures:!0,cell:e=>m(e.rowsHeldBack)},{name:`ended`,title:e.ended,cell:e=>I(e.finishedAt)},{name:`entry`,title:e.entry,figures:!0,cell:e=>L(e.ledgerIndex)},{name:`failure`,title:e.failure,cell:e=>e.failure??`–`}]}),(0,N.jsx)(R,{caption:e.holds,none:e.noHolds,pages:o,list:c.holds,columns:[{name:`name`,title:e.name,cell:e=>e.name},{name:`owner`,title:e.owner,cell:e=>e.owner},{name:`account`,title:e.account,cell:({scope:e})=>[e.account,e.model].filter(Boolean).join(` · `)},{name:`reason`,title:e.reason,cell:t=>t.reason??e.erased},{name:`placed`,title:e.placed,cell:e=>I(e.placedAt)},{name:`state`,title:e.state,cell:t=>(0,N.jsx)(`span`,{className:t.liftedAt?`badge`:`badge badge-warn`,children:t.liftedAt?e.lifted:e.inForce})},{name:`ends`,title:e.ended,cell:e=>I(e.liftedAt??e.expiresAt)},{name:`rows`,title:e.rows,figures:!0,cell:e=>m(e.rows)},{name:`entry`,title:e.entry,figures:!0,cell:e=>L(e.ledgerIndex)}]}),(0,N.jsx)(R,{caption:e.erasures,none:e.noErasures,pages:s,list:c.erasures,columns:[{name:`id`,title:e.id,cell:({id:e})=>(0,N.jsx)(l,{text:e,shown:`${e.slice(0,12)}…`})},{name:`kind`,title:e.whom,cell:({kind:t})=>t===`USER`?e.person:e.account},{name:`account`,title:e.account,cell:e=>e.account},{name:`state`,title:e.state,cell:({state:e})=>(0,N.jsx)(`span`,{className:e===`DONE`?`badge badge-good`:`badge badge-warn`,children:t(`erasureStates`,e)})},{name:`asked`,title:e.asked,cell:e=>I(e.requestedAt)},{name:`ended`,title:e.ended,cell:e=>I(e.finishedAt)},{name:`rows`,title:e.rows,figures:!0,cell:e=>m(e.rows)},{name:`blocked`,title:e.blocked,figures:!0,cell:e=>m(e.blockedByHolds.length)},{name:`backups`,title:e.backups,cell:e=>I(e.unreadableInBackupsAt)},{name:`entry`,title:e.entry,figures:!0,cell:e=>L(e.ledgerIndex)}]})]}):(0,N.jsx)(r,{lines:8})}function R({caption:e,none:t,list:n,pages:r,columns:i}){return n?n.nodes.length===0?(0,N.jsx)(u,{title:t}):(0,N.jsxs)(N.Fragment,{children:[(0,N.jsx)(h,{caption:e,rows:n.nodes,keyOf:({id:e})=>e,columns:i}),(0,N.jsx)(w,{pages:r,pageInfo:n.pageInfo})]}):null}var z=S(x(),1),se=1500;function ce(){let e=n(E),t=i(),[r,o]=(0,z.useState)(``),[l,u]=(0,z.useState)(null),[d,f]=(0,z.useState)(!1),[p,m]=(0,z.useState)(null),h=async()=>{f(!0);let{data:e,error:n}=await t.mutation(ne,{input:r===``?{}:{sinceSize:r}}).toPromise();m(c(n)),u(e?.createEvidence?.export.id??null),f(!1)};return(0,N.jsxs)(`form`,{className:`verification`,onSubmit:e=>{e.preventDefault(),h()},children:[(0,N.jsx)(`h2`,{children:e.evidence}),(0,N.jsx)(`p`,{className:`quiet`,children:e.evidenceWhy}),(0,N.jsxs)(`label`,{children:[e.since,(0,N.jsx)(`input`,{inputMode:`numeric`,pattern:`[0-9]{1,18}`,value:r,onChange:e=>o(e.target.value)})]}),(0,N.jsx)(a,{type:`submit`,busy:d,icon:`download`,children:e.makeEvidence}),p&&(0,N.jsx)(s,{problem:p}),l!==null&&(0,N.jsx)(le,{id:l})]})}function le({id:e}){let t=n(E),{data:r,problem:i,again:a}=g(re,{id:e}),o=r?.export,c=o==null||o.state===`QUEUED`||o.state===`RUNNING`;return(0,z.useEffect)(()=>{if(!c)return;let e=setInterval(a,se);return()=>clearInterval(e)},[c,a]),i?(0,N.jsx)(s,{problem:i,again:a}):c?(0,N.jsx)(`p`,{role:`status`,children:t.making(m(o?.rows??`0`))}):o.signedUrl==null?(0,N.jsx)(`p`,{role:`alert`,children:o.failure??t.gone}):(0,N.jsxs)(`p`,{role:`status`,className:`retention-bar`,children:[(0,N.jsx)(`a`,{className:`button button-primary`,href:new URL(`..${o.signedUrl}`,document.baseURI).href,download:!0,children:t.download(m(o.bytes??`0`))}),o.sha256!=null&&(0,N.jsx)(l,{text:o.sha256,shown:o.sha256.slice(0,23)})]})}function B(e){let t;try{t=atob(e)}catch{return null}return btoa(t)===e?Uint8Array.from(t,e=>e.charCodeAt(0)):null}function V(e){return Array.from(e,e=>e.toString(16).padStart(2,`0`)).join(``)}function H(...e){let t=new Uint8Array(e.reduce((e,t)=>e+t.length,0)),n=0;for(let r of e)t.set(r,n),n+=r.length;return t}function U(e,t){return e.length===t.length&&e.every((e,n)=>e===t[n])}async function W(e){return new Uint8Array(await crypto.subtle.digest(`SHA-256`,e))}function G(e){return new TextEncoder().encode(e)}function ue(e){let t=B(e);if(t===null)return null;let n=de(t);if(typeof n!=`object`||!n)return null;let{kind:r,actor:i,recorded_at:a,facts:o}=n;return typeof r!=`string`||typeof i!=`string`||typeof a!=`string`?null:{kind:r,actor:i,recordedAt:a,facts:(typeof o==`object`&&o?Object.entries(o):[]).map(([e,t])=>[e,typeof t==`string`?t:JSON.stringify(t)])}}function de(e){try{return JSON.parse(new TextDecoder(`utf-8`,{fatal:!0}).decode(e))}catch{return null}}var fe=1,K=4;async function pe(e){let[,t,n,r]=/^([^+\s]{1,200})\+([0-9a-f]{8})\+(\S{1,100})$/.exec(e.trim())??[],i=r===void 0?null:B(r);return t===void 0||n===void 0||i===null||i.length!==33||i[0]!==fe?`badKey`:V((await W(H(G(t),Uint8Array.of(10),i))).slice(0,K))===n?{origin:t,id:n,publicKey:i.slice(1)}:`badKey`}function me(e){let t=e.indexOf(`

`);if(t<0||e.length>1e4)return null;let n=e.slice(0,t+1),[r,i,a,o,...s]=n.split(`
`),c=B(a??``);if(!r||!/^(0|[1-9]\d{0,17})$/.test(i??``)||c?.length!==32||o!==``||s.length>0)return null;let l=e.slice(t+2).split(`
`).flatMap(e=>{let[,t,n]=/^— (\S+) (\S+)$/.exec(e)??[],r=B(n??``);return t===void 0||r===null||r.length!==68?[]:[[t,r]]});return{checkpoint:{origin:r,size:BigInt(i??`0`),root:c},text:n,signatures:l}}async function he(e){if(globalThis.crypto?.subtle===void 0)return`noCrypto`;try{return await crypto.subtle.importKey(`raw`,e,{name:`Ed25519`},!1,[`verify`])}catch{return`noEd25519`}}async function q(e,t){if(globalThis.crypto?.subtle===void 0)return`noCrypto`;let n=await pe(t);if(n===`badKey`)return n;let r=me(e);if(r===null)return`badCheckpoint`;if(r.checkpoint.origin!==n.origin)return`otherLedger`;let i=await he(n.publicKey);if(typeof i==`string`)return i;let a=r.signatures.find(([e,t])=>e===n.origin&&V(t.slice(0,K))===n.id)?.[1];return a===void 0?`otherKey`:await crypto.subtle.verify({name:`Ed25519`},i,a.slice(K),G(r.text))?r.checkpoint:`badSignature`}var ge=32;function _e(e){return W(H(Uint8Array.of(0),e))}function J(e,t){return W(H(Uint8Array.of(1),e,t))}async function ve(e,t,n,r,i){if(t<0n||t>=n||i.some(e=>e.length!==ge))return!1;let a=t,o=n-1n,s=await _e(e);for(let e of i){if(o===0n)return!1;if((a&1n)==1n||a===o)for(s=await J(e,s);(a&1n)==0n&&a!==0n;)[a,o]=[a>>1n,o>>1n];else s=await J(s,e);[a,o]=[a>>1n,o>>1n]}return o===0n&&U(s,r)}function Y(e,t){return(e&1n)==1n?Y(e>>1n,t>>1n):[e,t]}async function ye(e,t,n,r,i){if(e<=0n||e>t)return!1;if(e===t)return i.length===0&&U(n,r);let a=(e&e-1n)==0n?[n,...i]:[...i],[o,s]=Y(e-1n,t-1n),[c,...l]=a;if(c===void 0)return!1;let u=c,d=c;for(let e of l){if(s===0n)return!1;if((o&1n)==1n||o===s)for([u,d]=[await J(e,u),await J(e,d)];(o&1n)==0n&&o!==0n;)[o,s]=[o>>1n,s>>1n];else d=await J(d,e);[o,s]=[o>>1n,s>>1n]}return s===0n&&U(u,n)&&U(d,r)}function X(e){let t=(e??[]).map(B);return e===void 0||t.includes(null)?null:t}async function be(e,t){let{data:n}=await e.query(j,{}).toPromise();return n?.checkpoint?q(n.checkpoint.note,t):`badCheckpoint`}async function xe(e,t,n,r){if(BigInt(n)>=t.size)return`notCovered`;let{data:i}=await e.query(M,{index:n,size:String(t.size)}).toPromise(),a=X(i?.inclusionProof?.hashes),o=B(r);return a===null||o===null?`noProof`:await ve(o,BigInt(n),t.size,t.root,a)?null:`notIncluded`}async function Se(e,t,n,r){let i=await q(`${n.replaceAll(`\r`,``).trimEnd()}\n`,r);if(typeof i==`string`)return i;if(i.size>t.size)return`notContinued`;if(i.size===0n)return null;let{data:a}=await e.query(ee,{from:String(i.size),to:String(t.size)}).toPromise(),o=X(a?.consistencyProof?.hashes);return o===null?`noProof`:await ye(i.size,t.size,i.root,t.root,o)?null:`notContinued`}var Ce=`calledger/…+00000000+AQ…`,Z=8;function we({entries:e,proved:t}){let r=n(E),o=D(),s=i(),[c,l]=(0,z.useState)(``),[u,d]=(0,z.useState)(``),[f,p]=(0,z.useState)(!1),[h,g]=(0,z.useState)(null),_=async()=>{p(!0),t(new Map);let n=await be(s,c);if(typeof n==`string`){g(n),p(!1);return}let r=new Map;for(let t=0;t<e.length;t+=Z)await Promise.all(e.slice(t,t+Z).map(async({index:e,leaf:t})=>r.set(e,await xe(s,n,e,t))));let i=u.trim()===``?void 0:await Se(s,n,u,c),a=[...r.values()],o=a.filter(e=>e===null).length,l=a.filter(e=>e===`notCovered`).length;t(r),g({checkpoint:n,good:o,uncovered:l,bad:a.length-o-l,history:i}),p(!1)};return(0,N.jsxs)(`form`,{className:`verification`,onSubmit:e=>{e.preventDefault(),_()},children:[(0,N.jsx)(`h2`,{children:r.verify}),(0,N.jsx)(`p`,{className:`quiet`,children:r.verifyWhy}),(0,N.jsxs)(`label`,{children:[r.key,(0,N.jsx)(`input`,{className:`mono`,required:!0,spellCheck:!1,autoComplete:`off`,placeholder:Ce,value:c,onChange:e=>l(e.target.value)})]}),(0,N.jsxs)(`label`,{children:[r.kept,(0,N.jsx)(`textarea`,{className:`mono`,rows:2,spellCheck:!1,value:u,onChange:e=>d(e.target.value)})]}),(0,N.jsx)(a,{kind:`primary`,type:`submit`,busy:f,disabled:e.length===0,children:r.verifyEntries(m(e.length))}),(0,N.jsxs)(`div`,{role:`status`,children:[typeof h==`string`&&(0,N.jsx)(`p`,{className:`verdict verdict-bad`,children:r.notVerified(o(`doubts`,h))}),h!==null&&typeof h!=`string`&&(0,N.jsxs)(`div`,{className:h.bad===0&&!h.history?`verdict verdict-good`:`verdict verdict-bad`,children:[(0,N.jsx)(`p`,{children:h.bad===0?r.allVerified(m(h.good),m(String(h.checkpoint.size))):r.someBad(m(h.bad))}),h.uncovered>0&&(0,N.jsx)(`p`,{children:r.uncovered(m(h.uncovered))}),h.history!==void 0&&(0,N.jsx)(`p`,{children:h.history===null?r.continued:o(`doubts`,h.history)})]})]})]})}var Te=[`ERROR_REVEALED`,`EXPORTED`,`EVIDENCE_CREATED`,`ATTESTATION_REQUESTED`,`ATTESTED`,`SESSION_TOKENS_CREATED`],Ee=100,Q=26;function De(){let t=n(E),i=D(),[o,s]=e(),{period:c,change:l}=T(),d=o.get(`who`)===`1`,[f,m]=(0,z.useState)(new Map),y=(0,z.useMemo)(()=>({recordedAt:{gte:c.from,lt:c.to},...d&&{kind:{in:Te}}}),[c,d]),b=C(JSON.stringify(y)),{data:x,problem:S,again:O}=g(A,{filter:y,first:Ee,after:b.after}),k=x?.ledger,j=(0,z.useMemo)(()=>(k?.nodes??[]).map(e=>({...e,says:ue(e.leaf)})).toReversed(),[k]);return(0,N.jsxs)(`div`,{className:`retention-part`,children:[(0,N.jsx)(we,{entries:j,proved:m}),(0,N.jsxs)(`div`,{className:`retention-bar`,children:[(0,N.jsx)(p,{label:t.which,options:[{value:`all`,text:t.allEntries},{value:`looks`,text:t.whoLooked}],value:d?`looks`:`all`,change:e=>s({who:e===`looks`?`1`:null})}),(0,N.jsx)(w,{pages:b,pageInfo:k?.pageInfo,back:t.older,next:t.newer})]}),S&&(0,N.jsx)(v,{problem:S,again:O}),!S&&!k&&(0,N.jsx)(r,{lines:8}),k&&j.length===0&&(0,N.jsx)(u,{title:t.noEntries,children:(0,N.jsx)(`p`,{className:`empty-actions`,children:(0,N.jsx)(a,{onClick:()=>l({kind:`relative`,last:`90d`}),children:t.lastQuarter})})}),j.length>0&&(0,N.jsx)(h,{caption:d?t.whoLooked:t.entries,rows:j,keyOf:({index:e})=>e,columns:[{name:`index`,title:t.entry,figures:!0,cell:({index:e})=>`#${e}`},{name:`proof`,title:t.proof,cell:({index:e})=>{let n=f.get(e);return n===void 0?`–`:(0,N.jsx)(`span`,{className:n===null?`badge badge-good`:`badge badge-bad`,children:n===null?t.verified:i(`doubts`,n)})}},{name:`at`,title:t.time,cell:({recordedAt:e})=>(0,N.jsx)(_,{at:e})},{name:`kind`,title:t.kind,cell:({says:e,kind:t})=>(0,N.jsx)(`code`,{children:e?.kind??t})},{name:`actor`,title:t.by,cell:({says:e,actor:t})=>(0,N.jsx)(`code`,{children:e?.actor??t})},{name:`facts`,wide:!0,title:t.facts,cell:({says:e})=>(0,N.jsx)(`span`,{className:`facts`,children:e===null?t.unreadableLeaf:e.facts.map(([e,t])=>(0,N.jsxs)(`span`,{title:t,children:[(0,N.jsx)(`b`,{children:e}),` `,(0,N.jsx)(`code`,{children:t.length>Q?`${t.slice(0,Q)}…`:t})]},e))})},{name:`note`,wide:!0,title:t.note,cell:({note:e})=>(0,N.jsx)(`span`,{className:`note`,children:e??`–`})}]})]})}var $={SEE:`badge badge-good`,MASKED:`badge badge-warn`,DENIED:`badge`};function Oe(){let e=n(E),t=n(f).role,i=D(),a=d(),[o,s]=(0,z.useState)(``),{data:c,problem:p,again:m}=g(te,{}),y=c?.policy;if(p)return(0,N.jsx)(v,{problem:p,again:m});if(!y)return(0,N.jsx)(r,{lines:10});let b=y.fields.filter(({field:e})=>e.toLowerCase().includes(o.toLowerCase())),x=y.fields[0]?.views.map(e=>e.role)??[];return(0,N.jsxs)(`div`,{className:`retention-part`,children:[(0,N.jsxs)(`div`,{className:`retention-bar`,children:[(0,N.jsxs)(`h2`,{children:[y.name,` `,y.version]}),(0,N.jsx)(l,{text:y.digest,shown:y.digest.slice(0,19)}),(0,N.jsxs)(`span`,{className:`quiet`,children:[e.applied,` `,(0,N.jsx)(_,{at:y.appliedAt}),` · `,e.by,` `,y.appliedBy,y.approvedBy&&` · ${e.approved} ${y.approvedBy}`]})]}),(0,N.jsxs)(`label`,{className:`retention-find`,children:[(0,N.jsx)(`span`,{className:`unseen`,children:e.find}),(0,N.jsx)(`input`,{"data-filter":!0,type:`search`,placeholder:e.find,value:o,onChange:e=>s(e.target.value)})]}),b.length===0?(0,N.jsx)(u,{title:e.noField}):(0,N.jsx)(h,{caption:e.fields,rows:b,keyOf:({field:e})=>e,columns:[{name:`field`,title:e.field,cell:({field:e})=>(0,N.jsx)(`code`,{children:e})},{name:`class`,title:e.class,cell:e=>i(`dataClass`,e.class)},{name:`action`,title:e.action,cell:({action:e})=>i(`actions`,e)},{name:`store`,title:e.store,cell:({store:e})=>i(`stores`,e)},...x.map(n=>({name:n,title:n===a.role?`${t[n]} (${e.you})`:t[n],cell:({views:e})=>{let t=e.find(e=>e.role===n)?.view??`DENIED`;return(0,N.jsx)(`span`,{className:$[t],children:i(`views`,t)})}}))]}),(0,N.jsxs)(`details`,{children:[(0,N.jsx)(`summary`,{children:e.document}),(0,N.jsx)(`pre`,{className:`mono retention-document`,tabIndex:0,children:y.document})]})]})}var ke=`calledger verify statement.json --key VKEY`,Ae=2e3;function je(){let e=n(E),t=i(),o=d(),l=C(),[f,p]=(0,z.useState)(!1),[m,h]=(0,z.useState)(null),{data:_,problem:y,again:b}=g(ie,{after:l.after}),x=_?.attestations,S=x?.nodes.some(Pe)??!1;(0,z.useEffect)(()=>{if(!S)return;let e=setInterval(()=>document.hidden||b(),Ae);return()=>clearInterval(e)},[S,b]);let T=async()=>{p(!0);let{error:e}=await t.mutation(ae,{}).toPromise();h(c(e)),p(!1),b()};return(0,N.jsxs)(`section`,{className:`statements`,children:[(0,N.jsxs)(`div`,{className:`verification`,children:[(0,N.jsx)(`h2`,{children:e.statements}),(0,N.jsx)(`p`,{className:`quiet`,children:e.statementsWhy}),(0,N.jsx)(`p`,{className:`retention-missing`,children:e.keptByOperator}),(0,N.jsx)(`pre`,{className:`mono`,children:ke}),o.mayAsk(`requestAttestation`)&&(0,N.jsx)(a,{icon:`shield`,busy:f||S,onClick:()=>void T(),children:e.makeStatement}),m&&(0,N.jsx)(s,{problem:m})]}),y&&(0,N.jsx)(v,{problem:y,again:b}),!y&&!x&&(0,N.jsx)(r,{lines:4}),x&&x.nodes.length===0&&(0,N.jsx)(u,{title:e.noStatements}),x&&x.nodes.length>0&&(0,N.jsx)(Me,{rows:x.nodes}),(0,N.jsx)(w,{pages:l,pageInfo:x?.pageInfo})]})}function Me({rows:e}){let t=n(E);return(0,N.jsx)(h,{caption:t.statements,rows:e,keyOf:({id:e})=>e,columns:[{name:`asked`,title:t.asked,cell:({requestedAt:e})=>(0,N.jsx)(_,{at:e})},{name:`result`,title:t.result,wide:!0,cell:e=>(0,N.jsx)(Ne,{row:e})},{name:`file`,title:(0,N.jsx)(`span`,{className:`unseen`,children:t.file}),cell:({signedUrl:e,ledgerIndex:n})=>e!=null&&(0,N.jsx)(`a`,{className:`button button-plain`,href:new URL(`..${e}`,document.baseURI).href,download:!0,"aria-label":t.downloadStatement(n??``),children:t.downloadFile})},{name:`by`,title:t.by,cell:({requestedBy:e})=>(0,N.jsx)(`code`,{children:e})},{name:`days`,title:t.lookedBack,figures:!0,cell:({days:e})=>t.days(m(String(e)))},{name:`entry`,title:t.entry,figures:!0,cell:({ledgerIndex:e})=>e==null?`–`:`#${e}`},{name:`checkpoint`,title:t.checkpoint,figures:!0,cell:({checkpointSize:e})=>e==null?`–`:m(e)},{name:`digest`,title:t.digest,cell:({digest:e})=>e==null?`–`:(0,N.jsx)(l,{text:e,shown:e.slice(7,19)})}]})}function Ne({row:{state:e,unmet:t,failure:r,checks:i,checksDone:a}}){let o=n(E);return e===`QUEUED`?(0,N.jsx)(`span`,{className:`badge`,children:o.queued}):e===`RUNNING`?(0,N.jsxs)(`span`,{className:`retention-bar`,children:[(0,N.jsx)(`progress`,{value:a??0,max:i??1,"aria-label":o.checking}),` `,i==null?o.checking:o.checked(m(String(a??0)),m(String(i)))]}):e===`DONE`&&t===0?(0,N.jsx)(`span`,{className:`badge badge-good`,children:o.allMet}):e===`DONE`&&t!=null?(0,N.jsx)(`span`,{className:`badge badge-bad`,children:o.notMet(m(String(t)))}):(0,N.jsxs)(N.Fragment,{children:[(0,N.jsx)(`span`,{className:`badge badge-bad`,children:o.failed}),` `,r]})}function Pe({state:e}){return e===`QUEUED`||e===`RUNNING`}var Fe=[{name:`kept`,roots:[`retention`]},{name:`gone`,roots:[`purgeRuns`,`holds`,`erasures`]},{name:`ledger`,roots:[`ledger`]},{name:`policy`,roots:[`policy`]}];function Ie(){let t=n(E),r=d(),[i,a]=e(),o=Fe.filter(({roots:e})=>e.some(e=>r.mayAsk(e))),s=o.find(({name:e})=>e===i.get(`part`))??o[0];return(0,N.jsxs)(`div`,{className:`page-body retention`,children:[(0,N.jsx)(p,{label:t.part,options:o.map(({name:e})=>({value:e,text:t.parts[e]})),value:s?.name??`kept`,change:e=>a({part:e})}),s?.name===`kept`&&(0,N.jsx)(P,{}),s?.name===`gone`&&(0,N.jsx)(oe,{}),s?.name===`ledger`&&(0,N.jsxs)(N.Fragment,{children:[(0,N.jsx)(De,{}),r.mayAsk(`createEvidence`)&&(0,N.jsx)(ce,{}),r.mayAsk(`attestations`)&&(0,N.jsx)(je,{})]}),s?.name===`policy`&&(0,N.jsx)(Oe,{})]})}export{Ie as default};