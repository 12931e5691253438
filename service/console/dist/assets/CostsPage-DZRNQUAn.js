const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-VNjkRVIB.js","./zone-BdkYMsVa.js","./colour-C2IhgvLJ.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{J as e,K as t,U as n,V as r,X as i,c as a,nt as o,o as s,q as c,r as l,t as u,tt as d}from"./Waiting-BynpMIUj.js";import{a as f,l as p,s as m,t as h}from"./useFilter-CClZU-j-.js";import{a as g,i as _,n as v,r as y,s as b,t as x}from"./Moment-SVSzPNhc.js";import{t as S}from"./NoAnswer-C4jzMiMX.js";import{c as C,i as w,l as ee,s as T,u as E}from"./index-ZnQ93Gcg.js";import{a as D,c as O,l as k,n as te,o as A,r as j,s as ne,t as M}from"./decimal-DqOftDZW.js";import{t as N}from"./Amount-D0p9OARr.js";import{_ as re,c as ie,d as ae,i as oe,m as se,t as P}from"./zone-BdkYMsVa.js";import{n as ce,t as le}from"./Nothing-B2LpId0O.js";import{n as ue}from"./colour-C2IhgvLJ.js";var F=n({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,noAmounts:`No call of this time has an amount.`,reconciled:`Last compared with`,forDays:(e,t)=>` (${e===t?e:`${e} – ${t}`}):`,differ:(e,t)=>t===0?`nothing differs.`:t===1?`1 call differs.`:`${e} calls differ.`,notCompared:`it could not be compared.`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`Token 数`,input:`输入 token`,output:`输出 token`,average:`每次调用费用`,perThousand:`每千个输出 token`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额，未计入任何金额合计。`,overTime:e=>`费用趋势（${e}）`,chart:e=>`${e}：柱状图，数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用（${t}）`,truncated:`仅显示调用最多的一千项，导出可获得全部。`,equal:e=>`同等 token 下的模型对比（${e}）`,equalWhy:`按各模型实际的每 token 费用，换算到相同的 token 数。输出比输入更贵，请同时参考输出占比。`,model:`模型`,perMillion:`每百万 token`,forAll:`本时间段全部 token`,outputShare:`输出占比`,budgets:`今日预算（UTC）`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支：`,noAmounts:`此时间段内的调用都没有金额。`,reconciled:`最近对账：`,forDays:(e,t)=>`（日期 ${e===t?e:`${e} 至 ${t}`}）：`,differ:(e,t)=>t===0?`没有差异。`:`${e} 个调用有差异。`,notCompared:`未能比较。`}),I=ae(),de=a(`
  query DailyBudgets {
    budgets {
      id
      account
      apiKey
      tag {
        key
        value
      }
      currency
      amount
      spent
      left
    }
  }
`);function fe(){let e=r(F),{data:t,problem:n,again:i}=y(de,{});if(n)return(0,I.jsx)(l,{problem:n,again:i});let a=t?.budgets??[];return a.length===0?null:(0,I.jsx)(`section`,{className:`panel`,children:(0,I.jsx)(v,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=O(t,n),i=M(t,n)>0;return(0,I.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:b(r)]})}}],rows:a,keyOf:({id:e})=>e})})}var L={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},R=Object.keys(L),z=/^tag\.(.{1,100})$/,B={by:null,bucket:null,money:null};function pe(e){return z.test(e)?`Call.tags`:f.find(t=>t.name===e)?.governs??``}function V(e){let t=z.exec(e)?.[1];return{groupBy:t===void 0?[L[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(R.map(t=>[t,t===e])),tags:t!==void 0}}function H(e,t){if(z.test(t))return e.tags?.[0]?.value??``;let n=e[t];return typeof n==`string`?n:``}function U(e,t){let n=z.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.[0]?.key===n)}function me(e,t,n){let r=z.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function he(e,t){return t!==``||!z.test(e)&&e!==`status`}function ge(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function W(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=k(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:H(e.key,t),amount:n,share:O(n,i),row:e})).toSorted((e,t)=>M(t.amount,e.amount))}function G(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:O(e.cacheReadTokens,e.inputTokens)}function K(e,t){if(t==null)return null;let n=O(e,t);return n===null?null:n-1}var _e=`1000000`;function ve(e){let t=k(e.map(({row:e})=>q(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=q(r),a=A(n,i,_e),o=A(n,i,t);return a===null||o===null||M(n,`0`)===0?[]:[{model:e,tokens:i,outputShare:O(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>M(e.perMillion,t.perMillion))}function q(e){return k([e.inputTokens??`0`,e.outputTokens??`0`])}function ye({models:e,currency:t}){let n=r(F),i=ve(e),a=Math.max(...i.map(e=>D(e.perMillion)),0);return i.length<2?null:(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(v,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${a>0?D(e)/a*100:0}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:(0,I.jsx)(N,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>g(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:b(e)}],rows:i,keyOf:({model:e})=>e}),(0,I.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}function be({costs:t,currency:n}){let a=r(F),s=p(),l=o(),{dimension:u,groups:d,truncated:f}=t,m=s.name(u),h=e=>e==null?`–`:(0,I.jsx)(N,{amount:e,currency:n}),_=e=>e==null?`–`:b(e),y=t=>e(`logs`,c(l,{...B,currency:n,[u]:t})),x=d[0]?.row.inputTokens!==void 0,S=d[0]?.row.averageCost!==void 0,C=[{name:`value`,title:m,cell:({value:e})=>he(u,e)?(0,I.jsx)(i,{href:y(e),children:s.value(u,e)}):s.value(u,e)},{name:`cost`,title:a.cost,figures:!0,cell:e=>h(e.amount)},{name:`share`,title:a.share,figures:!0,cell:({share:e})=>(0,I.jsx)(xe,{share:e})},{name:`calls`,title:a.calls,figures:!0,cell:({row:e})=>g(e.calls)},{name:`failed`,title:a.failed,figures:!0,cell:({row:e})=>_(O(e.errors,e.calls))},x&&{name:`input`,title:a.input,figures:!0,cell:({row:e})=>g(e.inputTokens??`0`)},x&&{name:`output`,title:a.output,figures:!0,cell:({row:e})=>g(e.outputTokens??`0`)},x&&{name:`efficiency`,title:a.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},x&&{name:`cached`,title:a.cached,figures:!0,cell:({row:e})=>_(G(e))},S&&{name:`average`,title:a.average,figures:!0,cell:({row:e})=>h(e.averageCost)},S&&{name:`thousand`,title:a.perThousand,figures:!0,cell:({row:e})=>h(e.costPerThousandOutputTokens)},S&&{name:`failures`,title:a.failures,figures:!0,cell:({row:e})=>h(e.wastedOnFailures)}];return(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(v,{caption:a.costsBy(m,n),columns:C.filter(e=>e!==!1),rows:d,keyOf:({value:e})=>e}),f&&(0,I.jsx)(`p`,{className:`quiet panel-note`,children:a.truncated})]})}function xe({share:e}){return e===null?`–`:(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:b(e)})]})}function Se({unpriced:e,refusal:t,filter:n,callFilter:i,clear:a}){let o=r(F);return e===`0`?(0,I.jsx)(ce,{filter:n,callFilter:i,refusal:t,clear:a}):(0,I.jsx)(le,{title:o.noAmounts,why:o.unpriced(g(e)),filter:n,clear:a})}var Ce=a(`
  query LastReconciliation {
    reconciliations(first: 1) {
      nodes {
        id
        name
        firstDay
        lastDay
        differing
        failure
      }
    }
  }
`);function we(){let t=r(F),{data:n}=y(Ce,{}),a=n?.reconciliations?.nodes[0];if(a===void 0)return null;let{id:o,name:s,firstDay:c,lastDay:l,differing:u,failure:d}=a;return(0,I.jsxs)(`p`,{className:`quiet`,children:[t.reconciled,` `,(0,I.jsx)(i,{href:e(`reconciliations`,{reconciliation:o}),children:s}),t.forDays(c,l),` `,d==null?t.differ(g(u),u):t.notCompared]})}var J=re(se(),1);a(`
  fragment Figures on CostFigure {
    calls
    errors
    inputTokens @include(if: $tokens)
    outputTokens @include(if: $tokens)
    cacheReadTokens @include(if: $tokens)
    tokenEfficiency @include(if: $tokens)
    amount {
      amount
      currency
    }
    averageCost @include(if: $derived)
    costPerThousandOutputTokens @include(if: $derived)
    wastedOnFailures @include(if: $derived)
    estimatedShare @include(if: $derived)
    callsWithoutAmount @include(if: $derived)
  }
`);var Te=a(`
  query CostsByGroup(
    $filter: CallFilter!
    $groupBy: [CostDimension!]
    $groupByTags: [String!]
    $models: Boolean!
    $tokens: Boolean!
    $derived: Boolean!
    $model: Boolean!
    $provider: Boolean!
    $account: Boolean!
    $apiKey: Boolean!
    $status: Boolean!
    $operation: Boolean!
    $servedModel: Boolean!
    $errorType: Boolean!
    $user: Boolean!
    $tags: Boolean!
  ) {
    groups: costs(filter: $filter, groupBy: $groupBy, groupByTags: $groupByTags, first: 1000) {
      nodes {
        ...Figures
        key {
          currency
          model @include(if: $model)
          provider @include(if: $provider)
          account @include(if: $account)
          apiKey @include(if: $apiKey)
          status @include(if: $status)
          operation @include(if: $operation)
          servedModel @include(if: $servedModel)
          errorType @include(if: $errorType)
          user @include(if: $user)
          tags @include(if: $tags) {
            key
            value
          }
        }
      }
      totals {
        ...Figures
      }
      pageInfo {
        hasNextPage
      }
    }
    models: costs(filter: $filter, groupBy: [MODEL], first: 500) @include(if: $models) {
      nodes {
        ...Figures
        key {
          currency
          model
        }
      }
    }
  }
`),Ee=a(`
  query CostsOverTime(
    $filter: CallFilter!
    $top: CallFilter!
    $groupBy: [CostDimension!]
    $groupByTags: [String!]
    $bucket: TimeBucket!
    $timeZone: TimeZone
    $model: Boolean!
    $provider: Boolean!
    $account: Boolean!
    $apiKey: Boolean!
    $status: Boolean!
    $operation: Boolean!
    $servedModel: Boolean!
    $errorType: Boolean!
    $user: Boolean!
    $tags: Boolean!
  ) {
    all: costs(filter: $filter, bucket: $bucket, timeZone: $timeZone, fillBuckets: true, first: 10000) {
      nodes {
        calls
        amount {
          amount
          currency
        }
        key {
          currency
          bucketStart
          bucketEnd
        }
      }
    }
    shown: costs(filter: $top, groupBy: $groupBy, groupByTags: $groupByTags, bucket: $bucket, timeZone: $timeZone, first: 10000) {
      nodes {
        amount {
          amount
          currency
        }
        key {
          currency
          bucketStart
          model @include(if: $model)
          provider @include(if: $provider)
          account @include(if: $account)
          apiKey @include(if: $apiKey)
          status @include(if: $status)
          operation @include(if: $operation)
          servedModel @include(if: $servedModel)
          errorType @include(if: $errorType)
          user @include(if: $user)
          tags @include(if: $tags) {
            key
            value
          }
        }
      }
    }
  }
`),De=a(`
  query CostsBefore($filter: CallFilter!, $bucket: TimeBucket!, $timeZone: TimeZone, $tokens: Boolean!, $derived: Boolean!) {
    costs(filter: $filter, bucket: $bucket, timeZone: $timeZone, fillBuckets: true, first: 10000) {
      nodes {
        calls
        amount {
          amount
          currency
        }
        key {
          currency
          bucketStart
          bucketEnd
        }
      }
      totals {
        ...Figures
      }
    }
  }
`),Oe=a(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`),Y=`0`;function ke(e,t){return e.filter(e=>e.key.currency===t)}function Ae(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function je(e,t,n){let r=new Map(ke(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??Y]));return t.slice(0,-1).map(e=>r.get(e)??Y)}function Me(e,t,n,{name:r,values:i,currency:a}){let o=Ae(e),s=je(e,o,a),c=new Map(ke(t,a).map(e=>[`${e.key.bucketStart}|${H(e.key,r)}`,e.amount?.amount??Y])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??Y)})),u=s.map((e,t)=>te(e,k(l.map(e=>e.amounts[t]??Y))));u.some(e=>D(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:je(n,Ae(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??Y)}}var Ne=6,X=36e5,Pe=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Z={QUARTER_HOUR:X/4,HOUR:X,DAY:24*X,WEEK:168*X,MONTH:720*X},Fe=200;function Ie({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=Pe.filter(e=>e===`DAY`||n/Z[e]<=Fe&&n>=Z[e]),i=n<=5*X?`QUARTER_HOUR`:n<=50*X?`HOUR`:n<=100*Z.DAY?`DAY`:n<=730*Z.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function Le(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function Re(e,t){let{from:n,to:r}=ee(t);return{...e,startedAt:{gte:n,lt:r}}}var Q=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function ze(e){let n=E(),[r]=t(),{period:i}=C(),a=y(Oe,{filter:e},{wanted:n.mayFilter(`Call.tags`)&&n.mayAsk(`facets`)}),o=R.filter(e=>n.mayFilter(pe(e))),s=[...o,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=r.get(`by`)??``,l=s.includes(c)||/^tag\..{1,100}$/.test(c)&&n.mayFilter(`Call.tags`)?c:o[0]??`model`,{possible:u,usual:d}=Ie(i);return{fields:o,dimensions:s,dimension:l,bucket:u.find(e=>e===r.get(`bucket`))??d}}function Be(e,{fields:n,dimension:r},i){let a=E(),[o]=t(),s=r!==`model`&&i.tokens&&a.mayFilter(`Call.model`),c=y(Te,{filter:e,...V(r),...i,models:s},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&n.length>0}),{groups:l,models:u}=c.data??{},d=l&&U(l.nodes,r)?l:null,f=(0,J.useMemo)(()=>ge(d?.totals??[]),[d]),p=f.find(e=>e===o.get(`money`))??f[0]??null,m=(0,J.useMemo)(()=>d&&p!==null?W(d.nodes,r,p):[],[d,r,p]),h=(0,J.useMemo)(()=>u&&p!==null?W(u.nodes,`model`,p):[],[u,p]);return{answer:c,report:d,currencies:f,currency:p,groups:m,models:r===`model`?m:h}}function Ve(e,{dimension:t,bucket:n},r,i){let a=ie(),{period:o}=C(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Ne).map(({value:e})=>e)),u=(0,J.useMemo)(()=>me(e,t,JSON.parse(l)),[e,t,l]),d=(0,J.useMemo)(()=>Re(e,o),[e,o]),f=s!==null,p=y(Ee,{filter:e,top:u,...V(t),bucket:n,timeZone:a},{wanted:f}),m=y(De,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:h,shown:g}=p.data??{},_=m.data?.costs;return{answer:p,timeline:(0,J.useMemo)(()=>h&&g&&s!==null&&U(g.nodes,t)?Me(h.nodes,g.nodes,_?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[h,g,_,t,l,s]),totalBefore:Q(_?.totals,s)}}function He(){let e=E(),{callFilter:t}=h(),n=Le(e),r=ze(t),i=Be(t,r,n),a=Ve(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:Q(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function Ue({costs:e,change:t}){let n=r(F),i=p(),{period:a}=C(),{dimension:o,dimensions:s,bucket:c,currencies:l,currency:u}=e,d=s.includes(o)?s:[...s,o];return(0,I.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,I.jsxs)(`label`,{className:`costs-by`,children:[(0,I.jsx)(`span`,{children:n.by}),(0,I.jsx)(`select`,{"data-filter":!0,value:o,onChange:e=>t({by:e.target.value}),children:d.map(e=>(0,I.jsx)(`option`,{value:e,children:i.name(e)},e))})]}),(0,I.jsx)(T,{label:n.width,options:Ie(a).possible.map(e=>({value:e,text:n.bucket[e]})),value:c,change:e=>t({bucket:e})}),u!==null&&l.length>1&&(0,I.jsx)(T,{label:n.currency,options:l.map(e=>({value:e,text:e})),value:u,change:e=>t({money:e})})]})}var We=9.99;function Ge({change:e,good:t}){let n=r(F);if(e===null||e>100)return null;let i=e>0;return(0,I.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===i?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[e>We?`×${_(Math.round(e+1))}`:`${i?`+`:e<0?`−`:`±`}${b(Math.abs(e))}`,(0,I.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}function Ke({now:e,before:t,currency:n}){let i=r(F),a=(e,t)=>e==null?`–`:(0,I.jsx)(N,{amount:e,currency:n,...t!==void 0&&{digits:t}}),o=(K(e.calls,t?.calls)??0)<=100,s=(n,r)=>{let i=n(e);return i==null||!o?null:(0,I.jsx)(Ge,{change:K(i,t&&n(t)),good:r})},c=G(e),l=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:k([e.inputTokens,e.outputTokens]),u=l(e);return(0,I.jsxs)(`dl`,{className:`figures-grid`,children:[(0,I.jsx)($,{name:i.cost,change:s(e=>e.amount?.amount,`less`),children:a(e.amount?.amount)}),(0,I.jsx)($,{name:i.calls,change:s(e=>e.calls,`neither`),children:g(e.calls)}),u!==null&&(0,I.jsx)($,{name:i.tokens,change:s(l,`neither`),title:g(u),children:_(u)}),e.averageCost!==void 0&&(0,I.jsx)($,{name:i.average,change:s(e=>e.averageCost,`less`),children:a(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,I.jsx)($,{name:i.perThousand,change:s(e=>e.costPerThousandOutputTokens,`less`),children:a(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,I.jsx)($,{name:i.efficiency,children:e.tokenEfficiency.toFixed(3)}),c!==null&&(0,I.jsx)($,{name:i.cached,children:b(c)}),e.wastedOnFailures!==void 0&&(0,I.jsx)($,{name:i.failures,change:s(e=>e.wastedOnFailures,`less`),children:a(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,I.jsx)($,{name:i.estimated,children:b(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,I.jsxs)(`div`,{className:`figure`,children:[(0,I.jsx)(`dt`,{children:e}),(0,I.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}var qe=864e5;function Je({timeline:t,named:n,currency:a,caption:s,shown:l}){let u=r(F),d=o(),{edges:f,lines:p,totals:m,before:h}=t,g=Date.parse(f[1]??``)-Date.parse(f[0]??``)<qe/2,_=e=>e===void 0?`–`:(0,I.jsx)(N,{amount:e,currency:a}),y=[{name:`time`,title:u.time,cell:t=>(0,I.jsx)(i,{href:e(`logs`,c(d,{...B,currency:a,range:null,from:Ye(f[t]),to:Ye(f[t+1])})),tabIndex:l?void 0:-1,children:(0,I.jsx)(x,{at:f[t]??``,text:(e,t)=>g?`${P(e,t)} ${oe(e,t)}`:P(e,t)})})},...p.map((e,t)=>({name:String(t),title:n(e),figures:!0,cell:t=>_(e.amounts[t])})),{name:`total`,title:u.total,figures:!0,cell:e=>(0,I.jsx)(`strong`,{children:_(m[e])})}];return h!==null&&(y.push({name:`before`,title:u.before,figures:!0,cell:e=>_(h[e])}),y.push({name:`change`,title:u.change,figures:!0,cell:e=>(0,I.jsx)(Ge,{change:K(m[e]??`0`,h[e]),good:`less`})})),(0,I.jsx)(`div`,{className:l?`panel-table`:`unseen`,children:(0,I.jsx)(v,{caption:s,quietCaption:!0,columns:y,rows:m.map((e,t)=>t),keyOf:e=>f[e]??``})})}function Ye(e){return e===void 0?null:new Date(e).toISOString()}var Xe=(0,J.lazy)(()=>w(()=>import(`./TimeBars-VNjkRVIB.js`),__vite__mapDeps([0,1,2,3]),import.meta.url)),Ze=240,Qe=`--series-7`;function $e({costs:t,currency:n}){let i=r(F),a=p(),l=ie(),f=o(),[,m]=d(),[h,g]=(0,J.useState)(!1),{timeline:_,dimension:v}=t,y=(0,J.useMemo)(()=>e=>e.value===null?i.others:a.value(v,e.value),[i,a,v]),b=(0,J.useMemo)(()=>(_?.lines??[]).map((e,t)=>({label:y(e),colour:e.value===null?Qe:ue(t),values:e.amounts.map(D),text:t=>`${j(e.amounts[t]??`0`)} ${n}`})),[_,y,n]),x=_?.before,S=(0,J.useMemo)(()=>x?{label:i.before,colour:`--text-quiet`,values:x.map(D),text:e=>`${j(x[e]??`0`)} ${n}`}:void 0,[x,i,n]),C=i.overTime(n),w=(t,r)=>m(e(`logs`,c(f,{...B,currency:n,range:null,from:new Date(t).toISOString(),to:new Date(r).toISOString()})));return _===null?(0,I.jsx)(u,{lines:6}):(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsxs)(`header`,{className:`panel-head`,children:[(0,I.jsx)(`h2`,{children:C}),(0,I.jsxs)(`ul`,{className:`legend`,children:[b.map(e=>(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{style:{background:`var(${e.colour})`}}),e.label]},e.label)),S&&(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{className:`legend-line`}),S.label]})]}),(0,I.jsx)(s,{"aria-expanded":h,onClick:()=>g(!h),children:h?i.hideTable:i.showTable})]}),(0,I.jsx)(J.Suspense,{fallback:(0,I.jsx)(`div`,{style:{height:Ze}}),children:(0,I.jsx)(Xe,{label:i.chart(C),edges:_.edges,series:b,...S&&{line:S},zone:l,height:Ze,axisText:e=>e===0?`0`:ne(String(e),0).replace(/\.$/,``),pressed:w})}),(0,I.jsx)(Je,{timeline:_,named:y,currency:n,caption:C,shown:h})]})}function et(){let e=E(),[,n]=t(),{filter:r,callFilter:i,choose:a,bound:o,clear:s}=h(),c=He(),{groups:l}=c.answers;return e.view(`CostRow.amount`)===`DENIED`?(0,I.jsx)(S,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,I.jsxs)(`div`,{className:`page-body costs`,children:[(0,I.jsx)(Ue,{costs:c,change:n}),(0,I.jsx)(m,{filter:r,choose:a,bound:o}),(0,I.jsx)(tt,{costs:c,none:e=>(0,I.jsx)(Se,{unpriced:e,refusal:l.problem,filter:r,callFilter:i,clear:s})}),e.mayAsk(`budgets`)&&(0,I.jsx)(fe,{}),e.mayAsk(`reconciliations`)&&(0,I.jsx)(we,{})]})}function tt({costs:e,none:t}){let n=r(F),{totals:i,total:a,totalBefore:o,currency:s,models:c}=e,{groups:d,time:f}=e.answers,p=i?.find(e=>!e.amount)?.calls??`0`;return d.problem?.code===`OUT_OF_RETENTION`?t(`0`):d.problem?(0,I.jsx)(S,{problem:d.problem,again:d.again}):i===null?(0,I.jsx)(u,{lines:8}):s===null||a===null?t(p):(0,I.jsxs)(`div`,{className:`costs-answer`,"aria-busy":d.waiting||f.waiting,children:[(0,I.jsx)(Ke,{now:a,before:o,currency:s}),p!==`0`&&(0,I.jsx)(`p`,{className:`quiet`,children:n.unpriced(g(p))}),f.problem?(0,I.jsx)(l,{problem:f.problem,again:f.again}):(0,I.jsx)($e,{costs:e,currency:s}),(0,I.jsx)(be,{costs:e,currency:s}),(0,I.jsx)(ye,{models:c,currency:s})]})}export{et as default};