const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-DZifFWfr.js","./zone-DXQPei4g.js","./colour-B0Gqk7_t.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{J as e,K as t,U as n,V as r,X as i,a,l as o,n as s,nt as c,o as l,q as u,tt as d,u as f}from"./Empty-BfgApZrn.js";import{n as p,t as m}from"./Amount-Cg1xw97x.js";import{t as h}from"./FilterBar-Dk29U5qP.js";import{a as g,p as _,u as v}from"./useFacets-lnNUiX4F.js";import{a as y,i as b,n as x,o as S,r as C,s as w,t as T}from"./Moment-CML5bCIn.js";import{t as E}from"./NoAnswer-eAnr6-3V.js";import{c as D,i as ee,s as te}from"./index-CkhWhEJl.js";import{a as O,c as k,l as A,n as j,o as ne,r as re,s as ie,t as M}from"./decimal-DqOftDZW.js";import{f as ae,h as oe,l as N,m as se,n as ce,t as le,v as ue}from"./zone-DXQPei4g.js";import{n as P}from"./RangeContext-CAghGEn1.js";import{n as de,t as fe}from"./Nothing-qHNNISgA.js";import{n as pe}from"./colour-B0Gqk7_t.js";var me={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},F=Object.keys(me),I=/^tag\.(.{1,100})$/,L={by:null,across:null,bucket:null,money:null};function he(e){return I.test(e)?`Call.tags`:v.find(t=>t.name===e)?.governs??``}function R(e){let t=I.exec(e)?.[1];return{groupBy:t===void 0&&e!==`day`?[me[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(F.map(t=>[t,t===e])),tags:t!==void 0,day:e===`day`}}function ge(e,t){let[n,r]=[R(e),R(t)];return{groupBy:[...n.groupBy,...r.groupBy],groupByTags:[...n.groupByTags,...r.groupByTags],...Object.fromEntries(F.map(e=>[e,n[e]||r[e]])),tags:n.tags||r.tags,day:n.day||r.day}}function z(e,t){let n=I.exec(t)?.[1];if(n!==void 0)return e.tags?.find(e=>e.key===n)?.value??``;let r=e[t===`day`?`bucketStart`:t];return typeof r==`string`?r:``}function B(e,t){let n=I.exec(t)?.[1],r=t===`day`?`bucketStart`:t;return e.every(({key:e})=>n===void 0?r in e:e.tags?.some(e=>e.key===n)??!1)}function V(e,t,n){let r=I.exec(t)?.[1];return r===void 0?t===`day`?e:t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function H(e,t,n){if(e===void 0||t===void 0)return{};let r=e=>new Date(e).toISOString();return{range:null,from:r(Math.max(Date.parse(e),Date.parse(n.from))),to:r(Math.min(Date.parse(t),Date.parse(n.to)))}}function _e(e,t){return t!==``||!I.test(e)&&e!==`status`}var U=n({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>e===`1`?`1 call in this time has no amount: it is in no sum of money here.`:`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show the table`,hideTable:`Hide the table`,exported:`Export`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,crossed:(e,t,n)=>`Costs by ${e.toLowerCase()} and ${t.toLowerCase()}, ${n}`,across:`Columns`,shades:`The stronger the colour of a cell, the more of the money is in it. A press opens its calls.`,notCrossed:e=>`No call of this time that cost anything has a value of “${e}”.`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too. Latencies are within 5%: what half of the calls, and 95% of them, did not exceed.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,latency:{p50:`Latency, half`,p95:`Latency, 95%`},budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,noAmounts:`No call of this time has an amount.`,reconciled:`Last compared with`,forDays:(e,t)=>` (${e===t?e:`${e} – ${t}`}):`,differ:(e,t)=>t===0?`nothing differs.`:t===1?`1 call differs.`:`${e} calls differ.`,notCompared:`it could not be compared.`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`Token 数`,input:`输入 token`,output:`输出 token`,average:`每次调用费用`,perThousand:`每千个输出 token`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额，未计入任何金额合计。`,overTime:e=>`费用趋势（${e}）`,chart:e=>`${e}：柱状图，数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`显示表格`,hideTable:`隐藏表格`,exported:`导出`,costsBy:(e,t)=>`按${e}统计费用（${t}）`,crossed:(e,t,n)=>`按${e}与${t}统计费用（${n}）`,across:`列`,shades:`单元格颜色越浓，费用越高。点击可查看对应调用。`,notCrossed:e=>`此时间段内有费用的调用都没有“${e}”的值。`,truncated:`仅显示调用最多的一千项，导出可获得全部。`,equal:e=>`同等 token 下的模型对比（${e}）`,equalWhy:`按各模型实际的每 token 费用，换算到相同的 token 数。输出比输入更贵，请同时参考输出占比。延迟误差在 5% 以内：分别为 50% 和 95% 的调用不超过的时间。`,model:`模型`,perMillion:`每百万 token`,forAll:`本时间段全部 token`,outputShare:`输出占比`,latency:{p50:`延迟（50%）`,p95:`延迟（95%）`},budgets:`今日预算（UTC）`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支：`,noAmounts:`此时间段内的调用都没有金额。`,reconciled:`最近对账：`,forDays:(e,t)=>`（日期 ${e===t?e:`${e} 至 ${t}`}）：`,differ:(e,t)=>t===0?`没有差异。`:`${e} 个调用有差异。`,notCompared:`未能比较。`}),W=`0`,ve=e=>e.every(e=>O(e)===0);function ye(e,t,n,r,i){let a=(e,t)=>JSON.stringify([e,t]),o=new Map(e.flatMap(({amount:e,key:t})=>e?.currency===i.currency?[[a(z(t,i.row),z(t,i.column)),e.amount]]:[])),s=t.map(e=>n.map(t=>o.get(a(e.value,t.value))??W)),c=Math.max(0,...s.flat().map(O)),l=t.map(({amount:e})=>e),u=n.map(({amount:e})=>e),d=l.map((e,t)=>j(e,A(s[t]??[]))),f=u.map((e,t)=>j(e,A(s.map(e=>e[t]??W)))),p=j(r,A(l)),m=j(p,A(f)),h=!ve([...d,m]),g=!ve([...f,m]),_=[...s.map((e,t)=>h?[...e,d[t]??W]:e),...g?[h?[...f,m]:f]:[]];return{...i,rows:[...t.map(({value:e})=>e),...g?[null]:[]],columns:[...n.map(({value:e})=>e),...h?[null]:[]],cells:_,rowTotals:g?[...l,p]:l,columnTotals:h?[...u,j(r,A(u))]:u,total:r,most:c}}function be(e,t){let n=t>0?O(e)/t:0;return n<=0?0:Math.min(1,.08+.92*n)}var xe=[`model`,`account`,`apiKey`,`provider`];function Se(e,t,n,r){if(t===`day`)return;let i=n.filter(e=>e!==t&&e!==`day`),a=xe.filter(e=>!(r&&e===`account`));return i.find(t=>t===e)??a.find(e=>i.includes(e))??i[0]}var G=ue(oe(),1);s(`
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
`),s(`
  fragment Grouped on CostKey {
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
    bucketStart @include(if: $day)
    bucketEnd @include(if: $day)
  }
`);var Ce=s(`
  query CostsByGroup(
    $filter: CallFilter!
    $groupBy: [CostDimension!]
    $groupByTags: [String!]
    $bucket: TimeBucket
    $timeZone: TimeZone
    $first: Int!
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
    $day: Boolean!
  ) {
    groups: costs(filter: $filter, groupBy: $groupBy, groupByTags: $groupByTags, bucket: $bucket, timeZone: $timeZone, fillBuckets: $day, first: $first) {
      nodes {
        ...Figures
        key {
          ...Grouped
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
`),we=s(`
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
    $day: Boolean!
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
    shown: costs(filter: $top, groupBy: $groupBy, groupByTags: $groupByTags, bucket: $bucket, timeZone: $timeZone, first: 10000) @skip(if: $day) {
      nodes {
        amount {
          amount
          currency
        }
        key {
          bucketStart
          ...Grouped
        }
      }
    }
  }
`),Te=s(`
  query CostGroups(
    $filter: CallFilter!
    $groupBy: [CostDimension!]
    $groupByTags: [String!]
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
    $day: Boolean!
  ) {
    costs(filter: $filter, groupBy: $groupBy, groupByTags: $groupByTags, first: 1000) {
      nodes {
        calls
        errors
        amount {
          amount
          currency
        }
        key {
          ...Grouped
        }
      }
    }
  }
`),Ee=s(`
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
`),De=s(`
  query LatencyByModel($filter: CallFilter!) {
    costs(filter: $filter, groupBy: [MODEL], first: 500) {
      nodes {
        key {
          currency
          model
        }
        latencyMs {
          p50
          p95
        }
      }
    }
  }
`),Oe=s(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`);function ke(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function K(e,t,n){let r=e.filter(e=>(t===`day`?e.key.currency:e.amount?.currency)===n).map(e=>({row:e,amount:e.amount?.amount??`0`})),i=A(r.map(({amount:e})=>e)),a=r.map(({row:e,amount:n})=>{let r=e.key.bucketEnd;return{value:z(e.key,t),amount:n,share:k(n,i),row:e,...typeof r==`string`&&{end:r}}});return t===`day`?a.toSorted((e,t)=>Date.parse(e.value)-Date.parse(t.value)):a.toSorted((e,t)=>M(t.amount,e.amount))}function Ae(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:k(e.cacheReadTokens,e.inputTokens)}function q(e,t){if(t==null)return null;let n=k(e,t);return n===null?null:n-1}var je=`1000000`;function Me(e){let t=A(e.map(({row:e})=>Ne(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=Ne(r),a=ne(n,i,je),o=ne(n,i,t);return a===null||o===null||M(n,`0`)===0?[]:[{model:e,tokens:i,outputShare:k(r.outputTokens??`0`,i),failed:k(r.errors,r.calls),perMillion:a,forAll:o}]}).toSorted((e,t)=>M(e.perMillion,t.perMillion))}function Ne(e){return A([e.inputTokens??`0`,e.outputTokens??`0`])}var Pe=12,Fe=8,Ie=(e,t)=>e.filter(({value:e})=>e!==``).slice(0,t),Le=e=>e.map(({value:e})=>e);function Re(e,t,n,r){let i=C(Te,{filter:e,...R(t)},{wanted:r}),a=i.data?.costs?.nodes,o=(0,G.useMemo)(()=>a&&B(a,t)?Ie(K(a,t,n),Fe):[],[a,t,n]);return{answer:i,columns:o,none:a!==void 0&&!i.waiting&&o.length===0}}function ze(e,t,n,r,i,a){let{row:o,column:s,currency:c}=i,l=a&&t.length>0&&n.length>0,u=V(V(e,o,Le(t)),s,Le(n)),d=C(Te,{filter:u,...ge(o,s)},{wanted:l}),f=l&&!d.waiting?d.data?.costs?.nodes:void 0;return{answer:d,crossed:(0,G.useMemo)(()=>f&&B(f,o)&&B(f,s)?ye(f,t,n,r,{row:o,column:s,currency:c}):null,[f,t,n,r,o,s,c])}}function Be(e,n){let r=D(),[i]=t(),{callFilter:a}=g(),{dimension:o,dimensions:s,groups:c}=e,l=Se(i.get(`across`),o,s,r.accounts?.length===1)??o,{answer:u,columns:d,none:f}=Re(a,l,n,l!==o),p=(0,G.useMemo)(()=>Ie(c,Pe),[c]),m=e.answers.groups.waiting||u.waiting,{answer:h,crossed:_}=ze(a,p,d,e.total?.amount?.amount??`0`,{row:o,column:l,currency:n},!m),[v,y]=(0,G.useState)(_);return _!==null&&_!==v&&y(_),{across:l,crossed:f||p.length===0?null:_??v,problem:u.problem??h.problem,waiting:m||h.waiting,again:u.problem?u.again:h.again}}var J=ae();function Ve({costs:e,currency:n}){let i=r(U),o=_(),[,s]=t(),{across:c,crossed:l,problem:u,waiting:d,again:f}=Be(e,n),{dimension:p,dimensions:m}=e;if(c===p)return null;let h=i.crossed(o.name(p),o.name(c),n);return(0,J.jsxs)(`section`,{className:`panel`,"aria-busy":d,children:[(0,J.jsxs)(`header`,{className:`panel-head`,children:[(0,J.jsx)(`h2`,{children:h}),(0,J.jsxs)(`label`,{className:`costs-by costs-across`,children:[(0,J.jsx)(`span`,{children:i.across}),(0,J.jsx)(`select`,{value:c,onChange:e=>s({across:e.target.value}),children:m.filter(e=>e!==p&&e!==`day`).map(e=>(0,J.jsx)(`option`,{value:e,children:o.name(e)},e))})]})]}),u&&(0,J.jsx)(E,{problem:u,again:f}),!u&&l===null&&(d?(0,J.jsx)(a,{lines:6}):(0,J.jsx)(`p`,{className:`quiet`,children:i.notCrossed(o.name(c))})),!u&&l!==null&&(0,J.jsx)(He,{crossed:l,caption:h})]})}function He({crossed:t,caption:n}){let a=r(U),o=_(),s=c(),{row:l,column:d,currency:f,rows:p,columns:h,cells:g,rowTotals:v,columnTotals:y,total:b,most:x}=t,S=(e,t)=>t===null?a.others:o.value(e,t),C=(t,n)=>Object.entries(t).every(([e,t])=>t!==null&&_e(e,t))?(0,J.jsx)(i,{href:e(`logs`,u(s,{...L,currency:f,...t})),children:n}):n,w=e=>(0,J.jsx)(m,{amount:e,currency:f});return(0,J.jsxs)(J.Fragment,{children:[(0,J.jsx)(`div`,{className:`plain-table-frame`,tabIndex:0,role:`region`,"aria-label":n,children:(0,J.jsxs)(`table`,{className:`plain-table crossed`,children:[(0,J.jsx)(`caption`,{className:`unseen`,children:n}),(0,J.jsx)(`thead`,{children:(0,J.jsxs)(`tr`,{children:[(0,J.jsx)(`th`,{scope:`col`,children:o.name(l)}),h.map(e=>(0,J.jsx)(`th`,{scope:`col`,className:`figures`,children:C({[d]:e},S(d,e))},e??``)),(0,J.jsx)(`th`,{scope:`col`,className:`figures`,children:a.total})]})}),(0,J.jsx)(`tbody`,{children:p.map((e,t)=>(0,J.jsxs)(`tr`,{children:[(0,J.jsx)(`th`,{scope:`row`,children:C({[l]:e},S(l,e))}),h.map((n,r)=>{let i=g[t]?.[r]??`0`,a=e===null||n===null?0:be(i,x);return(0,J.jsx)(`td`,{className:`figures crossed-cell`,style:{"--shade":`${Math.round(a*100)}%`},children:Number(i)===0?(0,J.jsx)(`span`,{className:`quiet`,children:`–`}):C({[l]:e,[d]:n},w(i))},n??``)}),(0,J.jsx)(`td`,{className:`figures`,children:w(v[t]??`0`)})]},e??``))}),(0,J.jsx)(`tfoot`,{children:(0,J.jsxs)(`tr`,{children:[(0,J.jsx)(`th`,{scope:`row`,children:a.total}),y.map((e,t)=>(0,J.jsx)(`td`,{className:`figures`,children:w(e)},h[t]??``)),(0,J.jsx)(`td`,{className:`figures`,children:(0,J.jsx)(`strong`,{children:w(b)})})]})})]})}),(0,J.jsx)(`p`,{className:`quiet panel-note`,children:a.shades})]})}var Ue=s(`
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
`);function We(){let e=r(U),{data:t,problem:n,again:i}=C(Ue,{});if(n)return(0,J.jsx)(l,{problem:n,again:i});let a=t?.budgets??[];return a.length===0?null:(0,J.jsx)(`section`,{className:`panel`,children:(0,J.jsx)(x,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,J.jsx)(m,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,J.jsx)(m,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,J.jsx)(m,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=k(t,n),i=M(t,n)>0;return(0,J.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:w(r)]})}}],rows:a,keyOf:({id:e})=>e})})}function Ge({models:e,currency:t}){let n=r(U),i=Me(e),a=Ke(t,i.length>1),o=Math.max(...i.map(e=>O(e.perMillion)),0),s=e=>e===null?`–`:w(e),c=(e,t)=>{let n=a?.get(e)?.[t];return n==null?`–`:S(n)};return i.length<2?null:(0,J.jsxs)(`section`,{className:`panel`,children:[(0,J.jsx)(x,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,J.jsxs)(`span`,{className:`share`,children:[(0,J.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,J.jsx)(`span`,{style:{width:`${o>0?O(e)/o*100:0}%`}})}),(0,J.jsx)(`span`,{className:`share-figure`,children:(0,J.jsx)(m,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,J.jsx)(m,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>y(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>s(e)},{name:`failed`,title:n.failed,figures:!0,cell:({failed:e})=>s(e)},...a===null?[]:[`p50`,`p95`].map(e=>({name:e,title:n.latency[e],figures:!0,cell:({model:t})=>c(t,e)}))],rows:i,keyOf:({model:e})=>e}),(0,J.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}function Ke(e,t){let n=D(),{callFilter:r}=g(),i=n.view(`CostRow.latencyMs`)!==`DENIED`,{data:a}=C(De,{filter:r},{wanted:i&&t});return(0,G.useMemo)(()=>{if(!i)return null;let t=a?.costs?.nodes??[];return new Map(t.flatMap(({key:t,latencyMs:n})=>t.currency===e&&t.model!=null?[[t.model,n]]:[]))},[a,i,e])}function qe({costs:e,currency:t}){let n=r(U),i=_(),{dimension:a,groups:o,total:s,truncated:c}=e,l=i.name(a),u=e=>e==null?`–`:(0,J.jsx)(m,{amount:e,currency:t}),d=e=>e==null?`–`:w(e),f=a===`day`?Math.max(...o.map(({share:e})=>e??0)):1,p=o[0]?.row.inputTokens!==void 0,h=o[0]?.row.averageCost!==void 0,g=(e,t,n)=>({name:e,title:t,figures:!0,cell:({row:e})=>n(e),...s&&{foot:n(s)}}),v=[{name:`value`,title:l,foot:n.total,cell:e=>(0,J.jsx)(Je,{group:e,dimension:a,currency:t})},{name:`cost`,title:n.cost,figures:!0,cell:e=>u(e.amount),foot:u(s?.amount?.amount)},{name:`share`,title:n.share,figures:!0,cell:({share:e})=>(0,J.jsx)(Ye,{share:e,most:f})},g(`calls`,n.calls,e=>y(e.calls)),g(`failed`,n.failed,e=>d(k(e.errors,e.calls))),p&&g(`input`,n.input,e=>y(e.inputTokens??`0`)),p&&g(`output`,n.output,e=>y(e.outputTokens??`0`)),p&&g(`efficiency`,n.efficiency,e=>e.tokenEfficiency?.toFixed(3)??`–`),p&&g(`cached`,n.cached,e=>d(Ae(e))),h&&g(`average`,n.average,e=>u(e.averageCost)),h&&g(`thousand`,n.perThousand,e=>u(e.costPerThousandOutputTokens)),h&&g(`failures`,n.failures,e=>u(e.wastedOnFailures))];return(0,J.jsxs)(`section`,{className:`panel`,children:[(0,J.jsx)(x,{caption:n.costsBy(l,t),columns:v.filter(e=>e!==!1),rows:o,keyOf:({value:e})=>e}),c&&(0,J.jsx)(`p`,{className:`quiet panel-note`,children:n.truncated})]})}function Je({group:{value:t,end:n},dimension:r,currency:a}){let o=_(),s=c(),{period:l}=P(),d=r===`day`,f=d?(0,J.jsx)(T,{at:t,text:ce}):o.value(r,t),p=d?H(t,n,l):{[r]:t};return _e(r,t)?(0,J.jsx)(i,{href:e(`logs`,u(s,{...L,currency:a,...p})),children:f}):f}function Ye({share:e,most:t}){if(e===null)return`–`;let n=t>0?Math.max(0,Math.min(1,e/t)):0;return(0,J.jsxs)(`span`,{className:`share`,children:[(0,J.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,J.jsx)(`span`,{style:{width:`${n*100}%`}})}),(0,J.jsx)(`span`,{className:`share-figure`,children:w(e)})]})}function Xe({unpriced:e,refusal:t,filter:n,callFilter:i,clear:a}){let o=r(U);return e===`0`?(0,J.jsx)(de,{filter:n,callFilter:i,refusal:t,clear:a}):(0,J.jsx)(fe,{title:o.noAmounts,why:o.unpriced(y(e)),filter:n,clear:a})}var Ze=s(`
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
`);function Qe(){let t=r(U),{data:n}=C(Ze,{}),a=n?.reconciliations?.nodes[0];if(a===void 0)return null;let{id:o,name:s,firstDay:c,lastDay:l,differing:u,failure:d}=a;return(0,J.jsxs)(`p`,{className:`quiet`,children:[t.reconciled,` `,(0,J.jsx)(i,{href:e(`reconciliations`,{reconciliation:o}),children:s}),t.forDays(c,l),` `,d==null?t.differ(y(u),u):t.notCompared]})}var Y=`0`;function $e(e,t){return e.filter(e=>e.key.currency===t)}function et(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function tt(e,t,n){let r=new Map($e(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??Y]));return t.slice(0,-1).map(e=>r.get(e)??Y)}function nt(e,t,n,{name:r,values:i,currency:a}){let o=et(e),s=tt(e,o,a),c=new Map($e(t,a).map(e=>[`${e.key.bucketStart}|${z(e.key,r)}`,e.amount?.amount??Y])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??Y)})),u=s.map((e,t)=>j(e,A(l.map(e=>e.amounts[t]??Y))));u.some(e=>O(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:tt(n,et(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??Y)}}var rt=6,X=36e5,it=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Z={QUARTER_HOUR:X/4,HOUR:X,DAY:24*X,WEEK:168*X,MONTH:720*X},at=200,ot=1e3,st=1e4,ct=`DAY`;function lt({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=it.filter(e=>e===`DAY`||n/Z[e]<=at&&n>=Z[e]),i=n<=5*X?`QUARTER_HOUR`:n<=50*X?`HOUR`:n<=100*Z.DAY?`DAY`:n<=730*Z.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function ut(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}var dt=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function ft(e){let n=D(),[r]=t(),{period:i}=P(),a=C(Oe,{filter:e},{wanted:n.mayFilter(`Call.tags`)&&n.mayAsk(`facets`)}),o=F.filter(e=>n.mayFilter(he(e))),[s,...c]=o,l=[...s===void 0?[]:[s],`day`,...c,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],u=r.get(`by`)??``,d=l.includes(u)||/^tag\..{1,100}$/.test(u)&&n.mayFilter(`Call.tags`)?u:o[0]??`model`,{possible:f,usual:p}=lt(i);return{fields:o,dimensions:l,dimension:d,bucket:f.find(e=>e===r.get(`bucket`))??p}}function pt(e,{fields:n,dimension:r},i){let a=D(),o=N(),[s]=t(),c=r!==`model`&&i.tokens&&a.mayFilter(`Call.model`),l=C(Ce,{filter:e,...R(r),...r===`day`&&{bucket:ct,timeZone:o},first:r===`day`?st:ot,...i,models:c},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&n.length>0}),{groups:u,models:d}=l.data??{},f=u&&B(u.nodes,r)?u:null,p=(0,G.useMemo)(()=>ke(f?.totals??[]),[f]),m=p.find(e=>e===s.get(`money`))??p[0]??null,h=(0,G.useMemo)(()=>f&&m!==null?K(f.nodes,r,m):[],[f,r,m]),g=(0,G.useMemo)(()=>d&&m!==null?K(d.nodes,`model`,m):[],[d,m]);return{answer:l,report:f,currencies:p,currency:m,groups:h,models:r===`model`?h:g}}function mt(e,{dimension:t,bucket:n},r,i){let a=N(),{previous:o}=P(),{currency:s,groups:c}=r,l=t===`day`?[]:c.filter(({value:e})=>e!==``).slice(0,rt),u=JSON.stringify(l.map(({value:e})=>e)),d=(0,G.useMemo)(()=>V(e,t,JSON.parse(u)),[e,t,u]),f=(0,G.useMemo)(()=>({...e,startedAt:{gte:o.from,lt:o.to}}),[e,o]),p=s!==null,m=C(we,{filter:e,top:d,...R(t),bucket:n,timeZone:a},{wanted:p}),h=C(Ee,{filter:f,bucket:n,timeZone:a,...i},{wanted:p}),{all:g,shown:_}=m.data??{},v=dt(h.data?.costs?.totals,s),y=v===null?null:h.data?.costs;return{answer:m,timeline:(0,G.useMemo)(()=>g&&s!==null&&(t===`day`?!_:_&&B(_.nodes,t))?nt(g.nodes,_?.nodes??[],y?.nodes??null,{name:t,values:JSON.parse(u),currency:s}):null,[g,_,y,t,u,s]),totalBefore:v}}function ht(){let e=D(),{callFilter:t}=g(),n=ut(e),r=ft(t),i=pt(t,r,n),a=mt(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:dt(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function gt({costs:t,change:n}){let a=r(U),o=_(),s=c(),l=D(),{period:d}=P(),{dimension:p,dimensions:m,bucket:h,currencies:g,currency:v}=t,y=m.includes(p)?m:[...m,p];return(0,J.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":a.toolbar,children:[(0,J.jsxs)(`label`,{className:`costs-by`,children:[(0,J.jsx)(`span`,{children:a.by}),(0,J.jsx)(`select`,{value:p,onChange:e=>n({by:e.target.value}),children:y.map(e=>(0,J.jsx)(`option`,{value:e,children:o.name(e)},e))})]}),(0,J.jsx)(te,{label:a.width,options:lt(d).possible.map(e=>({value:e,text:a.bucket[e]})),value:h,change:e=>n({bucket:e})}),v!==null&&g.length>1&&(0,J.jsx)(te,{label:a.currency,options:g.map(e=>({value:e,text:e})),value:v,change:e=>n({money:e})}),l.mayAsk(`createExport`)&&(0,J.jsxs)(i,{className:`button button-plain costs-end`,href:e(`exports`,u(s,{...L,kind:`COSTS`})),children:[(0,J.jsx)(f,{name:`download`}),a.exported]})]})}var _t=9.99;function Q({change:e,good:t}){let n=r(U);if(e===null||e>100)return null;let i=e>0;return(0,J.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===i?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[e>_t?`×${b(Math.round(e+1))}`:`${i?`+`:e<0?`−`:`±`}${w(Math.abs(e))}`,(0,J.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}function vt({now:e,before:t,currency:n}){let i=r(U),a=(e,t)=>e==null?`–`:(0,J.jsx)(m,{amount:e,currency:n,...t!==void 0&&{digits:t}}),o=(q(e.calls,t?.calls)??0)<=100,s=(n,r)=>{let i=n(e);return i==null||!o?null:(0,J.jsx)(Q,{change:q(i,t&&n(t)),good:r})},c=Ae(e),l=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:A([e.inputTokens,e.outputTokens]),u=l(e);return(0,J.jsxs)(`dl`,{className:`figures-grid`,children:[(0,J.jsx)($,{name:i.cost,change:s(e=>e.amount?.amount,`less`),children:a(e.amount?.amount)}),(0,J.jsx)($,{name:i.calls,change:s(e=>e.calls,`neither`),children:y(e.calls)}),u!==null&&(0,J.jsx)($,{name:i.tokens,change:s(l,`neither`),title:y(u),children:b(u)}),e.averageCost!==void 0&&(0,J.jsx)($,{name:i.average,change:s(e=>e.averageCost,`less`),children:a(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,J.jsx)($,{name:i.perThousand,change:s(e=>e.costPerThousandOutputTokens,`less`),children:a(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,J.jsx)($,{name:i.efficiency,children:e.tokenEfficiency.toFixed(3)}),c!==null&&(0,J.jsx)($,{name:i.cached,children:w(c)}),e.wastedOnFailures!==void 0&&(0,J.jsx)($,{name:i.failures,change:s(e=>e.wastedOnFailures,`less`),children:a(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,J.jsx)($,{name:i.estimated,children:w(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,J.jsxs)(`div`,{className:`figure`,children:[(0,J.jsx)(`dt`,{children:e}),(0,J.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}var yt=864e5;function bt({timeline:t,was:n,named:a,currency:o,caption:s,shown:l}){let d=r(U),f=c(),{period:p}=P(),{edges:h,totals:g,before:_}=t,v=Date.parse(h[1]??``)-Date.parse(h[0]??``)<yt/2,y=t.lines.length===1&&t.lines[0]?.value===null?[]:t.lines,b=e=>e===void 0?`–`:(0,J.jsx)(m,{amount:e,currency:o}),S=t=>e(`logs`,u(f,{...L,currency:o,...H(h[t],h[t+1],p)})),C=[{name:`time`,title:d.time,foot:d.total,cell:e=>(0,J.jsx)(i,{href:S(e),tabIndex:l?void 0:-1,children:(0,J.jsx)(T,{at:h[e]??``,text:v?le:ce})})},...y.map((e,t)=>({name:String(t),title:a(e),figures:!0,cell:t=>b(e.amounts[t]),foot:b(A(e.amounts))})),{name:`total`,title:d.total,figures:!0,cell:e=>(0,J.jsx)(`strong`,{children:b(g[e])}),foot:b(A(g))}];if(_!==null){let e=A(g);C.push({name:`before`,title:d.before,figures:!0,cell:e=>b(_[e]),foot:b(n)}),C.push({name:`change`,title:d.change,figures:!0,cell:e=>(0,J.jsx)(Q,{change:q(g[e]??`0`,_[e]),good:`less`}),foot:(0,J.jsx)(Q,{change:q(e,n),good:`less`})})}return(0,J.jsx)(`div`,{className:l?`panel-table`:`unseen`,children:(0,J.jsx)(x,{caption:s,quietCaption:!0,columns:C,rows:g.map((e,t)=>t),keyOf:e=>h[e]??``})})}var xt=(0,G.lazy)(()=>ee(()=>import(`./TimeBars-DZifFWfr.js`),__vite__mapDeps([0,1,2,3]),import.meta.url)),St=240,Ct=`--series-7`,wt=`hidden`;function Tt(e){return e===0?`0`:e>=1e4?b(e):e<1e-4?e.toExponential():ie(String(e),0).replace(/\.$/,``)}function Et({costs:t,currency:n}){let i=r(U),s=_(),l=N(),f=c(),[,p]=d(),{period:m}=P(),[h,g]=se(`costs.table`),{timeline:v,dimension:y}=t,b=y===`day`,x=b&&t.bucket===`DAY`,S=h!==wt&&!x,C=(0,G.useMemo)(()=>e=>e.value===null?b?i.cost:i.others:s.value(y,e.value),[i,s,y,b]),w=(0,G.useMemo)(()=>(v?.lines??[]).map((e,t)=>({label:C(e),colour:e.value===null&&!b?Ct:pe(t),values:e.amounts.map(O),text:t=>`${re(e.amounts[t]??`0`)} ${n}`})),[v,C,n,b]),T=v?.before,E=(0,G.useMemo)(()=>T?{label:i.before,colour:`--text-quiet`,values:T.map(O),text:e=>`${re(T[e]??`0`)} ${n}`}:void 0,[T,i,n]),D=i.overTime(n),ee=(t,r)=>p(e(`logs`,u(f,{...L,currency:n,...H(t,r,m)})));return v===null?(0,J.jsx)(a,{lines:6}):(0,J.jsxs)(`section`,{className:`panel`,children:[(0,J.jsxs)(`header`,{className:`panel-head`,children:[(0,J.jsx)(`h2`,{children:D}),(0,J.jsxs)(`ul`,{className:`legend`,children:[w.map(e=>(0,J.jsxs)(`li`,{children:[(0,J.jsx)(`i`,{style:{background:`var(${e.colour})`}}),(0,J.jsx)(`span`,{title:e.label,children:e.label})]},e.label)),E&&(0,J.jsxs)(`li`,{children:[(0,J.jsx)(`i`,{className:`legend-line`}),E.label]})]}),!x&&(0,J.jsx)(o,{"aria-expanded":S,onClick:()=>g(S?wt:null),children:S?i.hideTable:i.showTable})]}),(0,J.jsx)(G.Suspense,{fallback:(0,J.jsx)(`div`,{style:{height:St}}),children:(0,J.jsx)(xt,{label:i.chart(D),edges:v.edges,series:w,...E&&{line:E},zone:l,height:St,axisText:Tt,pressed:ee})}),!x&&(0,J.jsx)(bt,{timeline:v,was:t.totalBefore?.amount?.amount??`0`,named:C,currency:n,caption:D,shown:S})]})}function Dt(){return D().view(`CostRow.amount`)===`DENIED`?(0,J.jsx)(E,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,J.jsx)(p,{children:(0,J.jsx)(Ot,{})})}function Ot(){let e=D(),[,n]=t(),{filter:r,callFilter:i,clear:a}=g(),o=ht(),{groups:s}=o.answers;return(0,J.jsxs)(`div`,{className:`page-body costs`,children:[(0,J.jsx)(h,{}),(0,J.jsx)(gt,{costs:o,change:n}),(0,J.jsx)(kt,{costs:o,none:e=>(0,J.jsx)(Xe,{unpriced:e,refusal:s.problem,filter:r,callFilter:i,clear:a})}),e.mayAsk(`budgets`)&&(0,J.jsx)(We,{}),e.mayAsk(`reconciliations`)&&(0,J.jsx)(Qe,{})]})}function kt({costs:e,none:t}){let n=r(U),{totals:i,total:o,totalBefore:s,currency:c,models:u}=e,{groups:d,time:f}=e.answers,p=i?.find(e=>!e.amount)?.calls??`0`;return d.problem?.code===`OUT_OF_RETENTION`?t(`0`):d.problem?(0,J.jsx)(E,{problem:d.problem,again:d.again}):i===null?(0,J.jsx)(a,{lines:8}):c===null||o===null?t(p):(0,J.jsxs)(`div`,{className:`costs-answer`,"aria-busy":d.waiting||f.waiting,children:[(0,J.jsx)(vt,{now:o,before:s,currency:c}),p!==`0`&&(0,J.jsx)(`p`,{className:`quiet`,children:n.unpriced(y(p))}),f.problem?(0,J.jsx)(l,{problem:f.problem,again:f.again}):(0,J.jsx)(Et,{costs:e,currency:c}),(0,J.jsx)(qe,{costs:e,currency:c}),(0,J.jsx)(Ve,{costs:e,currency:c}),(0,J.jsx)(Ge,{models:u,currency:c})]})}export{Dt as default};