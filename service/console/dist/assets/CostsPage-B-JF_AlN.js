const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-CpdT5P_B.js","./zone-DdNMMDrj.js","./colour-BeV-jOXJ.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{J as e,K as t,U as n,V as r,X as i,a,l as o,n as s,nt as c,o as l,q as u,tt as d}from"./Empty-BE6uPUMs.js";import{n as f,t as p}from"./Amount-BmFyTH10.js";import{c as m,d as h,r as g,t as _}from"./filter-YqHR_qm9.js";import{a as v,i as y,n as b,r as x,s as S,t as C}from"./Moment-CAywbV9J.js";import{t as w}from"./NoAnswer-CzEAR1UQ.js";import{c as T,i as ee,s as te}from"./index-B6gmz6Oo.js";import{a as E,c as D,l as O,n as k,o as ne,r as re,s as ie,t as A}from"./decimal-DqOftDZW.js";import{f as ae,h as oe,l as j,n as se,t as ce,v as le}from"./zone-DdNMMDrj.js";import{n as ue,t as de}from"./Nothing-CvHXHUZN.js";import{i as fe,n as M}from"./RangeContext-DvFpcMi6.js";import{n as pe}from"./colour-BeV-jOXJ.js";var N={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},P=Object.keys(N),F=/^tag\.(.{1,100})$/,I={by:null,across:null,bucket:null,money:null};function me(e){return F.test(e)?`Call.tags`:m.find(t=>t.name===e)?.governs??``}function L(e){let t=F.exec(e)?.[1];return{groupBy:t===void 0?[N[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(P.map(t=>[t,t===e])),tags:t!==void 0}}function he(e,t){let[n,r]=[L(e),L(t)];return{groupBy:[...n.groupBy,...r.groupBy],groupByTags:[...n.groupByTags,...r.groupByTags],...Object.fromEntries(P.map(e=>[e,n[e]||r[e]])),tags:n.tags||r.tags}}function R(e,t){let n=F.exec(t)?.[1];if(n!==void 0)return e.tags?.find(e=>e.key===n)?.value??``;let r=e[t];return typeof r==`string`?r:``}function z(e,t){let n=F.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.some(e=>e.key===n)??!1)}function B(e,t,n){let r=F.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function ge(e,t){return t!==``||!F.test(e)&&e!==`status`}var V=n({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>e===`1`?`1 call in this time has no amount: it is in no sum of money here.`:`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,crossed:(e,t,n)=>`Costs by ${e.toLowerCase()} and ${t.toLowerCase()}, ${n}`,across:`Columns`,shades:`The stronger the colour of a cell, the more of the money is in it. A press opens its calls.`,notCrossed:e=>`No call of this time that cost anything has a value of “${e}”.`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,noAmounts:`No call of this time has an amount.`,reconciled:`Last compared with`,forDays:(e,t)=>` (${e===t?e:`${e} – ${t}`}):`,differ:(e,t)=>t===0?`nothing differs.`:t===1?`1 call differs.`:`${e} calls differ.`,notCompared:`it could not be compared.`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`Token 数`,input:`输入 token`,output:`输出 token`,average:`每次调用费用`,perThousand:`每千个输出 token`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额，未计入任何金额合计。`,overTime:e=>`费用趋势（${e}）`,chart:e=>`${e}：柱状图，数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用（${t}）`,crossed:(e,t,n)=>`按${e}与${t}统计费用（${n}）`,across:`列`,shades:`单元格颜色越浓，费用越高。点击可查看对应调用。`,notCrossed:e=>`此时间段内有费用的调用都没有“${e}”的值。`,truncated:`仅显示调用最多的一千项，导出可获得全部。`,equal:e=>`同等 token 下的模型对比（${e}）`,equalWhy:`按各模型实际的每 token 费用，换算到相同的 token 数。输出比输入更贵，请同时参考输出占比。`,model:`模型`,perMillion:`每百万 token`,forAll:`本时间段全部 token`,outputShare:`输出占比`,budgets:`今日预算（UTC）`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支：`,noAmounts:`此时间段内的调用都没有金额。`,reconciled:`最近对账：`,forDays:(e,t)=>`（日期 ${e===t?e:`${e} 至 ${t}`}）：`,differ:(e,t)=>t===0?`没有差异。`:`${e} 个调用有差异。`,notCompared:`未能比较。`}),H=`0`,U=e=>e.every(e=>E(e)===0);function _e(e,t,n,r,i){let a=(e,t)=>JSON.stringify([e,t]),o=new Map(e.flatMap(({amount:e,key:t})=>e?.currency===i.currency?[[a(R(t,i.row),R(t,i.column)),e.amount]]:[])),s=t.map(e=>n.map(t=>o.get(a(e.value,t.value))??H)),c=Math.max(0,...s.flat().map(E)),l=t.map(({amount:e})=>e),u=n.map(({amount:e})=>e),d=l.map((e,t)=>k(e,O(s[t]??[]))),f=u.map((e,t)=>k(e,O(s.map(e=>e[t]??H)))),p=k(r,O(l)),m=k(p,O(f)),h=!U([...d,m]),g=!U([...f,m]),_=[...s.map((e,t)=>h?[...e,d[t]??H]:e),...g?[h?[...f,m]:f]:[]];return{...i,rows:[...t.map(({value:e})=>e),...g?[null]:[]],columns:[...n.map(({value:e})=>e),...h?[null]:[]],cells:_,rowTotals:g?[...l,p]:l,columnTotals:h?[...u,k(r,O(u))]:u,total:r,most:c}}function ve(e,t){let n=t>0?E(e)/t:0;return n<=0?0:Math.min(1,.08+.92*n)}var ye=[`model`,`account`,`apiKey`,`provider`];function be(e,t,n,r){let i=n.filter(e=>e!==t),a=ye.filter(e=>!(r&&e===`account`));return i.find(t=>t===e)??a.find(e=>i.includes(e))??i[0]}var W=le(oe(),1);s(`
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
  }
`);var xe=s(`
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
`),Se=s(`
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
          bucketStart
          ...Grouped
        }
      }
    }
  }
`),G=s(`
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
`),Ce=s(`
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
`),we=s(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`);function Te(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function K(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=O(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:R(e.key,t),amount:n,share:D(n,i),row:e})).toSorted((e,t)=>A(t.amount,e.amount))}function q(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:D(e.cacheReadTokens,e.inputTokens)}function J(e,t){if(t==null)return null;let n=D(e,t);return n===null?null:n-1}var Ee=`1000000`;function De(e){let t=O(e.map(({row:e})=>Oe(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=Oe(r),a=ne(n,i,Ee),o=ne(n,i,t);return a===null||o===null||A(n,`0`)===0?[]:[{model:e,tokens:i,outputShare:D(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>A(e.perMillion,t.perMillion))}function Oe(e){return O([e.inputTokens??`0`,e.outputTokens??`0`])}var ke=12,Ae=8,je=(e,t)=>e.filter(({value:e})=>e!==``).slice(0,t),Me=e=>e.map(({value:e})=>e);function Ne(e,t,n,r){let i=x(G,{filter:e,...L(t)},{wanted:r}),a=i.data?.costs?.nodes,o=(0,W.useMemo)(()=>a&&z(a,t)?je(K(a,t,n),Ae):[],[a,t,n]);return{answer:i,columns:o,none:a!==void 0&&!i.waiting&&o.length===0}}function Pe(e,t,n,r,i,a){let{row:o,column:s,currency:c}=i,l=a&&t.length>0&&n.length>0,u=B(B(e,o,Me(t)),s,Me(n)),d=x(G,{filter:u,...he(o,s)},{wanted:l}),f=l&&!d.waiting?d.data?.costs?.nodes:void 0;return{answer:d,crossed:(0,W.useMemo)(()=>f&&z(f,o)&&z(f,s)?_e(f,t,n,r,{row:o,column:s,currency:c}):null,[f,t,n,r,o,s,c])}}function Fe(e,n){let r=T(),[i]=t(),{callFilter:a}=g(),{dimension:o,dimensions:s,groups:c}=e,l=be(i.get(`across`),o,s,r.accounts?.length===1)??o,{answer:u,columns:d,none:f}=Ne(a,l,n,l!==o),p=(0,W.useMemo)(()=>je(c,ke),[c]),m=e.answers.groups.waiting||u.waiting,{answer:h,crossed:_}=Pe(a,p,d,e.total?.amount?.amount??`0`,{row:o,column:l,currency:n},!m),[v,y]=(0,W.useState)(_);return _!==null&&_!==v&&y(_),{across:l,crossed:f||p.length===0?null:_??v,problem:u.problem??h.problem,waiting:m||h.waiting,again:u.problem?u.again:h.again}}var Y=ae();function Ie({costs:e,currency:n}){let i=r(V),o=h(),[,s]=t(),{across:c,crossed:l,problem:u,waiting:d,again:f}=Fe(e,n),{dimension:p,dimensions:m}=e;if(c===p)return null;let g=i.crossed(o.name(p),o.name(c),n);return(0,Y.jsxs)(`section`,{className:`panel`,"aria-busy":d,children:[(0,Y.jsxs)(`header`,{className:`panel-head`,children:[(0,Y.jsx)(`h2`,{children:g}),(0,Y.jsxs)(`label`,{className:`costs-by costs-across`,children:[(0,Y.jsx)(`span`,{children:i.across}),(0,Y.jsx)(`select`,{value:c,onChange:e=>s({across:e.target.value}),children:m.filter(e=>e!==p).map(e=>(0,Y.jsx)(`option`,{value:e,children:o.name(e)},e))})]})]}),u&&(0,Y.jsx)(w,{problem:u,again:f}),!u&&l===null&&(d?(0,Y.jsx)(a,{lines:6}):(0,Y.jsx)(`p`,{className:`quiet`,children:i.notCrossed(o.name(c))})),!u&&l!==null&&(0,Y.jsx)(Le,{crossed:l,caption:g})]})}function Le({crossed:t,caption:n}){let a=r(V),o=h(),s=c(),{row:l,column:d,currency:f,rows:m,columns:g,cells:_,rowTotals:v,columnTotals:y,total:b,most:x}=t,S=(e,t)=>t===null?a.others:o.value(e,t),C=(t,n)=>Object.entries(t).every(([e,t])=>t!==null&&ge(e,t))?(0,Y.jsx)(i,{href:e(`logs`,u(s,{...I,currency:f,...t})),children:n}):n,w=e=>(0,Y.jsx)(p,{amount:e,currency:f});return(0,Y.jsxs)(Y.Fragment,{children:[(0,Y.jsx)(`div`,{className:`plain-table-frame`,tabIndex:0,role:`region`,"aria-label":n,children:(0,Y.jsxs)(`table`,{className:`plain-table crossed`,children:[(0,Y.jsx)(`caption`,{className:`unseen`,children:n}),(0,Y.jsx)(`thead`,{children:(0,Y.jsxs)(`tr`,{children:[(0,Y.jsx)(`th`,{scope:`col`,children:o.name(l)}),g.map(e=>(0,Y.jsx)(`th`,{scope:`col`,className:`figures`,children:C({[d]:e},S(d,e))},e??``)),(0,Y.jsx)(`th`,{scope:`col`,className:`figures`,children:a.total})]})}),(0,Y.jsx)(`tbody`,{children:m.map((e,t)=>(0,Y.jsxs)(`tr`,{children:[(0,Y.jsx)(`th`,{scope:`row`,children:C({[l]:e},S(l,e))}),g.map((n,r)=>{let i=_[t]?.[r]??`0`,a=e===null||n===null?0:ve(i,x);return(0,Y.jsx)(`td`,{className:`figures crossed-cell`,style:{"--shade":`${Math.round(a*100)}%`},children:Number(i)===0?(0,Y.jsx)(`span`,{className:`quiet`,children:`–`}):C({[l]:e,[d]:n},w(i))},n??``)}),(0,Y.jsx)(`td`,{className:`figures`,children:w(v[t]??`0`)})]},e??``))}),(0,Y.jsx)(`tfoot`,{children:(0,Y.jsxs)(`tr`,{children:[(0,Y.jsx)(`th`,{scope:`row`,children:a.total}),y.map((e,t)=>(0,Y.jsx)(`td`,{className:`figures`,children:w(e)},g[t]??``)),(0,Y.jsx)(`td`,{className:`figures`,children:(0,Y.jsx)(`strong`,{children:w(b)})})]})})]})}),(0,Y.jsx)(`p`,{className:`quiet panel-note`,children:a.shades})]})}var Re=s(`
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
`);function ze(){let e=r(V),{data:t,problem:n,again:i}=x(Re,{});if(n)return(0,Y.jsx)(l,{problem:n,again:i});let a=t?.budgets??[];return a.length===0?null:(0,Y.jsx)(`section`,{className:`panel`,children:(0,Y.jsx)(b,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,Y.jsx)(p,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,Y.jsx)(p,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,Y.jsx)(p,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=D(t,n),i=A(t,n)>0;return(0,Y.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:S(r)]})}}],rows:a,keyOf:({id:e})=>e})})}function Be({models:e,currency:t}){let n=r(V),i=De(e),a=Math.max(...i.map(e=>E(e.perMillion)),0);return i.length<2?null:(0,Y.jsxs)(`section`,{className:`panel`,children:[(0,Y.jsx)(b,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,Y.jsxs)(`span`,{className:`share`,children:[(0,Y.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,Y.jsx)(`span`,{style:{width:`${a>0?E(e)/a*100:0}%`}})}),(0,Y.jsx)(`span`,{className:`share-figure`,children:(0,Y.jsx)(p,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,Y.jsx)(p,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>v(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:S(e)}],rows:i,keyOf:({model:e})=>e}),(0,Y.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}function Ve({costs:t,currency:n}){let a=r(V),o=h(),s=c(),{dimension:l,groups:d,truncated:f}=t,m=o.name(l),g=e=>e==null?`–`:(0,Y.jsx)(p,{amount:e,currency:n}),_=e=>e==null?`–`:S(e),y=t=>e(`logs`,u(s,{...I,currency:n,[l]:t})),x=d[0]?.row.inputTokens!==void 0,C=d[0]?.row.averageCost!==void 0,w=[{name:`value`,title:m,cell:({value:e})=>ge(l,e)?(0,Y.jsx)(i,{href:y(e),children:o.value(l,e)}):o.value(l,e)},{name:`cost`,title:a.cost,figures:!0,cell:e=>g(e.amount)},{name:`share`,title:a.share,figures:!0,cell:({share:e})=>(0,Y.jsx)(He,{share:e})},{name:`calls`,title:a.calls,figures:!0,cell:({row:e})=>v(e.calls)},{name:`failed`,title:a.failed,figures:!0,cell:({row:e})=>_(D(e.errors,e.calls))},x&&{name:`input`,title:a.input,figures:!0,cell:({row:e})=>v(e.inputTokens??`0`)},x&&{name:`output`,title:a.output,figures:!0,cell:({row:e})=>v(e.outputTokens??`0`)},x&&{name:`efficiency`,title:a.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},x&&{name:`cached`,title:a.cached,figures:!0,cell:({row:e})=>_(q(e))},C&&{name:`average`,title:a.average,figures:!0,cell:({row:e})=>g(e.averageCost)},C&&{name:`thousand`,title:a.perThousand,figures:!0,cell:({row:e})=>g(e.costPerThousandOutputTokens)},C&&{name:`failures`,title:a.failures,figures:!0,cell:({row:e})=>g(e.wastedOnFailures)}];return(0,Y.jsxs)(`section`,{className:`panel`,children:[(0,Y.jsx)(b,{caption:a.costsBy(m,n),columns:w.filter(e=>e!==!1),rows:d,keyOf:({value:e})=>e}),f&&(0,Y.jsx)(`p`,{className:`quiet panel-note`,children:a.truncated})]})}function He({share:e}){return e===null?`–`:(0,Y.jsxs)(`span`,{className:`share`,children:[(0,Y.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,Y.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,Y.jsx)(`span`,{className:`share-figure`,children:S(e)})]})}function Ue({unpriced:e,refusal:t,filter:n,callFilter:i,clear:a}){let o=r(V);return e===`0`?(0,Y.jsx)(ue,{filter:n,callFilter:i,refusal:t,clear:a}):(0,Y.jsx)(de,{title:o.noAmounts,why:o.unpriced(v(e)),filter:n,clear:a})}var We=s(`
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
`);function Ge(){let t=r(V),{data:n}=x(We,{}),a=n?.reconciliations?.nodes[0];if(a===void 0)return null;let{id:o,name:s,firstDay:c,lastDay:l,differing:u,failure:d}=a;return(0,Y.jsxs)(`p`,{className:`quiet`,children:[t.reconciled,` `,(0,Y.jsx)(i,{href:e(`reconciliations`,{reconciliation:o}),children:s}),t.forDays(c,l),` `,d==null?t.differ(v(u),u):t.notCompared]})}var X=`0`;function Ke(e,t){return e.filter(e=>e.key.currency===t)}function qe(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function Je(e,t,n){let r=new Map(Ke(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??X]));return t.slice(0,-1).map(e=>r.get(e)??X)}function Ye(e,t,n,{name:r,values:i,currency:a}){let o=qe(e),s=Je(e,o,a),c=new Map(Ke(t,a).map(e=>[`${e.key.bucketStart}|${R(e.key,r)}`,e.amount?.amount??X])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??X)})),u=s.map((e,t)=>k(e,O(l.map(e=>e.amounts[t]??X))));u.some(e=>E(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:Je(n,qe(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??X)}}var Xe=6,Z=36e5,Ze=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Q={QUARTER_HOUR:Z/4,HOUR:Z,DAY:24*Z,WEEK:168*Z,MONTH:720*Z},Qe=200;function $e({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=Ze.filter(e=>e===`DAY`||n/Q[e]<=Qe&&n>=Q[e]),i=n<=5*Z?`QUARTER_HOUR`:n<=50*Z?`HOUR`:n<=100*Q.DAY?`DAY`:n<=730*Q.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function et(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function tt(e,t){let{from:n,to:r}=fe(t);return{...e,startedAt:{gte:n,lt:r}}}var nt=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function rt(e){let n=T(),[r]=t(),{period:i}=M(),a=x(we,{filter:e},{wanted:n.mayFilter(`Call.tags`)&&n.mayAsk(`facets`)}),o=P.filter(e=>n.mayFilter(me(e))),s=[...o,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=r.get(`by`)??``,l=s.includes(c)||/^tag\..{1,100}$/.test(c)&&n.mayFilter(`Call.tags`)?c:o[0]??`model`,{possible:u,usual:d}=$e(i);return{fields:o,dimensions:s,dimension:l,bucket:u.find(e=>e===r.get(`bucket`))??d}}function it(e,{fields:n,dimension:r},i){let a=T(),[o]=t(),s=r!==`model`&&i.tokens&&a.mayFilter(`Call.model`),c=x(xe,{filter:e,...L(r),...i,models:s},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&n.length>0}),{groups:l,models:u}=c.data??{},d=l&&z(l.nodes,r)?l:null,f=(0,W.useMemo)(()=>Te(d?.totals??[]),[d]),p=f.find(e=>e===o.get(`money`))??f[0]??null,m=(0,W.useMemo)(()=>d&&p!==null?K(d.nodes,r,p):[],[d,r,p]),h=(0,W.useMemo)(()=>u&&p!==null?K(u.nodes,`model`,p):[],[u,p]);return{answer:c,report:d,currencies:f,currency:p,groups:m,models:r===`model`?m:h}}function at(e,{dimension:t,bucket:n},r,i){let a=j(),{period:o}=M(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Xe).map(({value:e})=>e)),u=(0,W.useMemo)(()=>B(e,t,JSON.parse(l)),[e,t,l]),d=(0,W.useMemo)(()=>tt(e,o),[e,o]),f=s!==null,p=x(Se,{filter:e,top:u,...L(t),bucket:n,timeZone:a},{wanted:f}),m=x(Ce,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:h,shown:g}=p.data??{},_=m.data?.costs;return{answer:p,timeline:(0,W.useMemo)(()=>h&&g&&s!==null&&z(g.nodes,t)?Ye(h.nodes,g.nodes,_?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[h,g,_,t,l,s]),totalBefore:nt(_?.totals,s)}}function ot(){let e=T(),{callFilter:t}=g(),n=et(e),r=rt(t),i=it(t,r,n),a=at(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:nt(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function st({costs:e,change:t}){let n=r(V),i=h(),{period:a}=M(),{dimension:o,dimensions:s,bucket:c,currencies:l,currency:u}=e,d=s.includes(o)?s:[...s,o];return(0,Y.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,Y.jsxs)(`label`,{className:`costs-by`,children:[(0,Y.jsx)(`span`,{children:n.by}),(0,Y.jsx)(`select`,{"data-filter":!0,value:o,onChange:e=>t({by:e.target.value}),children:d.map(e=>(0,Y.jsx)(`option`,{value:e,children:i.name(e)},e))})]}),(0,Y.jsx)(te,{label:n.width,options:$e(a).possible.map(e=>({value:e,text:n.bucket[e]})),value:c,change:e=>t({bucket:e})}),u!==null&&l.length>1&&(0,Y.jsx)(te,{label:n.currency,options:l.map(e=>({value:e,text:e})),value:u,change:e=>t({money:e})})]})}var ct=9.99;function lt({change:e,good:t}){let n=r(V);if(e===null||e>100)return null;let i=e>0;return(0,Y.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===i?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[e>ct?`×${y(Math.round(e+1))}`:`${i?`+`:e<0?`−`:`±`}${S(Math.abs(e))}`,(0,Y.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}function ut({now:e,before:t,currency:n}){let i=r(V),a=(e,t)=>e==null?`–`:(0,Y.jsx)(p,{amount:e,currency:n,...t!==void 0&&{digits:t}}),o=(J(e.calls,t?.calls)??0)<=100,s=(n,r)=>{let i=n(e);return i==null||!o?null:(0,Y.jsx)(lt,{change:J(i,t&&n(t)),good:r})},c=q(e),l=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:O([e.inputTokens,e.outputTokens]),u=l(e);return(0,Y.jsxs)(`dl`,{className:`figures-grid`,children:[(0,Y.jsx)($,{name:i.cost,change:s(e=>e.amount?.amount,`less`),children:a(e.amount?.amount)}),(0,Y.jsx)($,{name:i.calls,change:s(e=>e.calls,`neither`),children:v(e.calls)}),u!==null&&(0,Y.jsx)($,{name:i.tokens,change:s(l,`neither`),title:v(u),children:y(u)}),e.averageCost!==void 0&&(0,Y.jsx)($,{name:i.average,change:s(e=>e.averageCost,`less`),children:a(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,Y.jsx)($,{name:i.perThousand,change:s(e=>e.costPerThousandOutputTokens,`less`),children:a(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,Y.jsx)($,{name:i.efficiency,children:e.tokenEfficiency.toFixed(3)}),c!==null&&(0,Y.jsx)($,{name:i.cached,children:S(c)}),e.wastedOnFailures!==void 0&&(0,Y.jsx)($,{name:i.failures,change:s(e=>e.wastedOnFailures,`less`),children:a(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,Y.jsx)($,{name:i.estimated,children:S(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,Y.jsxs)(`div`,{className:`figure`,children:[(0,Y.jsx)(`dt`,{children:e}),(0,Y.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}var dt=864e5;function ft({timeline:t,named:n,currency:a,caption:o,shown:s}){let l=r(V),d=c(),{edges:f,lines:m,totals:h,before:g}=t,_=Date.parse(f[1]??``)-Date.parse(f[0]??``)<dt/2,v=e=>e===void 0?`–`:(0,Y.jsx)(p,{amount:e,currency:a}),y=[{name:`time`,title:l.time,cell:t=>(0,Y.jsx)(i,{href:e(`logs`,u(d,{...I,currency:a,range:null,from:pt(f[t]),to:pt(f[t+1])})),tabIndex:s?void 0:-1,children:(0,Y.jsx)(C,{at:f[t]??``,text:_?ce:se})})},...m.map((e,t)=>({name:String(t),title:n(e),figures:!0,cell:t=>v(e.amounts[t])})),{name:`total`,title:l.total,figures:!0,cell:e=>(0,Y.jsx)(`strong`,{children:v(h[e])})}];return g!==null&&(y.push({name:`before`,title:l.before,figures:!0,cell:e=>v(g[e])}),y.push({name:`change`,title:l.change,figures:!0,cell:e=>(0,Y.jsx)(lt,{change:J(h[e]??`0`,g[e]),good:`less`})})),(0,Y.jsx)(`div`,{className:s?`panel-table`:`unseen`,children:(0,Y.jsx)(b,{caption:o,quietCaption:!0,columns:y,rows:h.map((e,t)=>t),keyOf:e=>f[e]??``})})}function pt(e){return e===void 0?null:new Date(e).toISOString()}var mt=(0,W.lazy)(()=>ee(()=>import(`./TimeBars-CpdT5P_B.js`),__vite__mapDeps([0,1,2,3]),import.meta.url)),ht=240,gt=`--series-7`;function _t(e){return e===0?`0`:e>=1e4?y(e):e<1e-4?e.toExponential():ie(String(e),0).replace(/\.$/,``)}function vt({costs:t,currency:n}){let i=r(V),s=h(),l=j(),f=c(),[,p]=d(),[m,g]=(0,W.useState)(!1),{timeline:_,dimension:v}=t,y=(0,W.useMemo)(()=>e=>e.value===null?i.others:s.value(v,e.value),[i,s,v]),b=(0,W.useMemo)(()=>(_?.lines??[]).map((e,t)=>({label:y(e),colour:e.value===null?gt:pe(t),values:e.amounts.map(E),text:t=>`${re(e.amounts[t]??`0`)} ${n}`})),[_,y,n]),x=_?.before,S=(0,W.useMemo)(()=>x?{label:i.before,colour:`--text-quiet`,values:x.map(E),text:e=>`${re(x[e]??`0`)} ${n}`}:void 0,[x,i,n]),C=i.overTime(n),w=(t,r)=>p(e(`logs`,u(f,{...I,currency:n,range:null,from:new Date(t).toISOString(),to:new Date(r).toISOString()})));return _===null?(0,Y.jsx)(a,{lines:6}):(0,Y.jsxs)(`section`,{className:`panel`,children:[(0,Y.jsxs)(`header`,{className:`panel-head`,children:[(0,Y.jsx)(`h2`,{children:C}),(0,Y.jsxs)(`ul`,{className:`legend`,children:[b.map(e=>(0,Y.jsxs)(`li`,{children:[(0,Y.jsx)(`i`,{style:{background:`var(${e.colour})`}}),(0,Y.jsx)(`span`,{title:e.label,children:e.label})]},e.label)),S&&(0,Y.jsxs)(`li`,{children:[(0,Y.jsx)(`i`,{className:`legend-line`}),S.label]})]}),(0,Y.jsx)(o,{"aria-expanded":m,onClick:()=>g(!m),children:m?i.hideTable:i.showTable})]}),(0,Y.jsx)(W.Suspense,{fallback:(0,Y.jsx)(`div`,{style:{height:ht}}),children:(0,Y.jsx)(mt,{label:i.chart(C),edges:_.edges,series:b,...S&&{line:S},zone:l,height:ht,axisText:_t,pressed:w})}),(0,Y.jsx)(ft,{timeline:_,named:y,currency:n,caption:C,shown:m})]})}function yt(){return T().view(`CostRow.amount`)===`DENIED`?(0,Y.jsx)(w,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,Y.jsx)(f,{children:(0,Y.jsx)(bt,{})})}function bt(){let e=T(),[,n]=t(),{filter:r,callFilter:i,choose:a,bound:o,clear:s}=g(),c=ot(),{groups:l}=c.answers;return(0,Y.jsxs)(`div`,{className:`page-body costs`,children:[(0,Y.jsx)(st,{costs:c,change:n}),(0,Y.jsx)(_,{filter:r,choose:a,bound:o}),(0,Y.jsx)(xt,{costs:c,none:e=>(0,Y.jsx)(Ue,{unpriced:e,refusal:l.problem,filter:r,callFilter:i,clear:s})}),e.mayAsk(`budgets`)&&(0,Y.jsx)(ze,{}),e.mayAsk(`reconciliations`)&&(0,Y.jsx)(Ge,{})]})}function xt({costs:e,none:t}){let n=r(V),{totals:i,total:o,totalBefore:s,currency:c,models:u}=e,{groups:d,time:f}=e.answers,p=i?.find(e=>!e.amount)?.calls??`0`;return d.problem?.code===`OUT_OF_RETENTION`?t(`0`):d.problem?(0,Y.jsx)(w,{problem:d.problem,again:d.again}):i===null?(0,Y.jsx)(a,{lines:8}):c===null||o===null?t(p):(0,Y.jsxs)(`div`,{className:`costs-answer`,"aria-busy":d.waiting||f.waiting,children:[(0,Y.jsx)(ut,{now:o,before:s,currency:c}),p!==`0`&&(0,Y.jsx)(`p`,{className:`quiet`,children:n.unpriced(v(p))}),f.problem?(0,Y.jsx)(l,{problem:f.problem,again:f.again}):(0,Y.jsx)(vt,{costs:e,currency:c}),(0,Y.jsx)(Ve,{costs:e,currency:c}),(0,Y.jsx)(Ie,{costs:e,currency:c}),(0,Y.jsx)(Be,{models:u,currency:c})]})}export{yt as default};