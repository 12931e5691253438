const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-CaXC1QnD.js","./zone-CRkJUK2W.js","./colour-BvGtA-37.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{A as e,E as t,M as n,N as r,O as i,P as a,T as o,_ as s,c,d as l,f as u,i as d,k as f,l as p,m,s as h,u as g,y as _}from"./index-BYTTLwGF.js";import{a as v,l as y,n as b,s as x,t as S}from"./useFilter-UsESgUEk.js";import{a as C,i as ee,n as w,r as T,s as E,t as te}from"./Moment-D7fNHVK9.js";import{t as ne}from"./NoAnswer-TSzemv7B.js";import{a as re,c as D,i as O,n as ie,o as ae,r as k,s as A,t as j}from"./decimal-CWpj0E5i.js";import{t as M}from"./Amount-DMnj3i66.js";import{c as oe,g as se,i as ce,p as le,t as N,u as ue}from"./zone-CRkJUK2W.js";import{n as de}from"./colour-BvGtA-37.js";var P=t({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,none:`No calls in this time.`,noneWhy:`Choose a longer time, or take a filter back.`,noAmounts:`No call of this time has an amount.`,lastMonth:`Last 30 days`,clearFilters:`Clear the filters`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`令牌数`,input:`输入令牌`,output:`输出令牌`,average:`每次调用费用`,perThousand:`每千个输出令牌`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额,未计入任何金额合计。`,overTime:e=>`费用趋势(${e})`,chart:e=>`${e}:柱状图,数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用(${t})`,truncated:`仅显示调用最多的一千项,导出可获得全部。`,equal:e=>`同等令牌下的模型对比(${e})`,equalWhy:`按各模型实际的每令牌费用,换算到相同的令牌数。输出比输入更贵,请同时参考输出占比。`,model:`模型`,perMillion:`每百万令牌`,forAll:`本时间段全部令牌`,outputShare:`输出占比`,budgets:`今日预算(UTC)`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支:`,none:`此时间段内没有调用。`,noneWhy:`请选择更长的时间,或移除筛选条件。`,noAmounts:`此时间段内的调用都没有金额。`,lastMonth:`最近 30 天`,clearFilters:`清除筛选`}),F=ue(),fe=_(`
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
`);function pe(){let e=o(P),{data:t,problem:n,again:r}=T(fe,{});if(n)return(0,F.jsx)(m,{problem:n,again:r});let i=t?.budgets??[];return i.length===0?null:(0,F.jsx)(`section`,{className:`panel`,children:(0,F.jsx)(w,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,F.jsx)(M,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,F.jsx)(M,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,F.jsx)(M,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=A(t,n),i=j(t,n)>0;return(0,F.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:E(r)]})}}],rows:i,keyOf:({id:e})=>e})})}var I={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},L=Object.keys(I),R=/^tag\.(.{1,100})$/;function me(e){return R.test(e)?`Call.tags`:v.find(t=>t.name===e)?.governs??``}function z(e){let t=R.exec(e)?.[1];return{groupBy:t===void 0?[I[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(L.map(t=>[t,t===e])),tags:t!==void 0}}function B(e,t){if(R.test(t))return e.tags?.[0]?.value??``;let n=e[t];return typeof n==`string`?n:``}function V(e,t){let n=R.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.[0]?.key===n)}function he(e,t,n){let r=R.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function ge(e,t){return t!==``||!R.test(e)&&e!==`status`}function _e(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function H(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=D(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:B(e.key,t),amount:n,share:A(n,i),row:e})).toSorted((e,t)=>j(t.amount,e.amount))}function U(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:A(e.cacheReadTokens,e.inputTokens)}function W(e,t){if(t==null)return null;let n=A(e,t);return n===null?null:n-1}var ve=`1000000`;function ye(e){let t=D(e.map(({row:e})=>G(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=G(r),a=re(n,i,ve),o=re(n,i,t);return a===null||o===null?[]:[{model:e,tokens:i,outputShare:A(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>j(e.perMillion,t.perMillion))}function G(e){return D([e.inputTokens??`0`,e.outputTokens??`0`])}function be({models:e,currency:t}){let n=o(P),r=ye(e),i=Math.max(...r.map(e=>O(e.perMillion)),0);return r.length<2?null:(0,F.jsxs)(`section`,{className:`panel`,children:[(0,F.jsx)(w,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,F.jsxs)(`span`,{className:`share`,children:[(0,F.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,F.jsx)(`span`,{style:{width:`${i>0?O(e)/i*100:0}%`}})}),(0,F.jsx)(`span`,{className:`share-figure`,children:(0,F.jsx)(M,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,F.jsx)(M,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>C(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:E(e)}],rows:r,keyOf:({model:e})=>e}),(0,F.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}var K=se(le(),1),q=9.99;function xe({change:e,good:t}){let n=o(P);if(e===null)return null;let r=e>0;return(0,F.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===r?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[r?`+`:e<0?`−`:`±`,Math.abs(e)>q?`>${E(q)}`:E(Math.abs(e)),(0,F.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}var Se=864e5;function Ce({timeline:t,named:r,currency:i,caption:s,shown:c}){let l=o(P),u=a(),{edges:d,lines:p,totals:m,before:h}=t,g=Date.parse(d[1]??``)-Date.parse(d[0]??``)<Se/2,_=e=>e===void 0?`–`:(0,F.jsx)(M,{amount:e,currency:i}),v=[{name:`time`,title:l.time,cell:t=>(0,F.jsx)(n,{href:e(`logs`,f(u,{...J,currency:i,range:null,from:we(d[t]),to:we(d[t+1])})),tabIndex:c?void 0:-1,children:(0,F.jsx)(te,{at:d[t]??``,text:(e,t)=>g?`${N(e,t)} ${ce(e,t)}`:N(e,t)})})},...p.map((e,t)=>({name:String(t),title:r(e),figures:!0,cell:t=>_(e.amounts[t])})),{name:`total`,title:l.total,figures:!0,cell:e=>(0,F.jsx)(`strong`,{children:_(m[e])})}];return h!==null&&(v.push({name:`before`,title:l.before,figures:!0,cell:e=>_(h[e])}),v.push({name:`change`,title:l.change,figures:!0,cell:e=>(0,F.jsx)(xe,{change:W(m[e]??`0`,h[e]),good:`less`})})),(0,F.jsx)(`div`,{className:c?`panel-table`:`unseen`,children:(0,F.jsx)(w,{caption:s,quietCaption:!0,columns:v,rows:m.map((e,t)=>t),keyOf:e=>d[e]??``})})}function we(e){return e===void 0?null:new Date(e).toISOString()}var Te=(0,K.lazy)(()=>d(()=>import(`./TimeBars-CaXC1QnD.js`),__vite__mapDeps([0,1,2,3]),import.meta.url)),Ee=240,De=`--series-7`,J={by:null,bucket:null,money:null};function Oe({costs:t,currency:n}){let i=o(P),l=y(),u=oe(),d=a(),[,p]=r(),[m,h]=(0,K.useState)(!1),{timeline:g,dimension:_}=t,v=(0,K.useMemo)(()=>e=>e.value===null?i.others:l.value(_,e.value),[i,l,_]),b=(0,K.useMemo)(()=>(g?.lines??[]).map((e,t)=>({label:v(e),colour:e.value===null?De:de(t),values:e.amounts.map(O),text:t=>`${k(e.amounts[t]??`0`)} ${n}`})),[g,v,n]),x=g?.before,S=(0,K.useMemo)(()=>x?{label:i.before,colour:`--text-quiet`,values:x.map(O),text:e=>`${k(x[e]??`0`)} ${n}`}:void 0,[x,i,n]),C=i.overTime(n),ee=(t,r)=>p(e(`logs`,f(d,{...J,currency:n,range:null,from:new Date(t).toISOString(),to:new Date(r).toISOString()})));return g===null?(0,F.jsx)(c,{lines:6}):(0,F.jsxs)(`section`,{className:`panel`,children:[(0,F.jsxs)(`header`,{className:`panel-head`,children:[(0,F.jsx)(`h2`,{children:C}),(0,F.jsxs)(`ul`,{className:`legend`,children:[b.map(e=>(0,F.jsxs)(`li`,{children:[(0,F.jsx)(`i`,{style:{background:`var(${e.colour})`}}),e.label]},e.label)),S&&(0,F.jsxs)(`li`,{children:[(0,F.jsx)(`i`,{className:`legend-line`}),S.label]})]}),(0,F.jsx)(s,{"aria-expanded":m,onClick:()=>h(!m),children:m?i.hideTable:i.showTable})]}),(0,F.jsx)(K.Suspense,{fallback:(0,F.jsx)(`div`,{style:{height:Ee}}),children:(0,F.jsx)(Te,{label:i.chart(C),edges:g.edges,series:b,...S&&{line:S},zone:u,height:Ee,axisText:e=>e===0?`0`:ae(String(e),0).replace(/\.$/,``),pressed:ee})}),(0,F.jsx)(Ce,{timeline:g,named:v,currency:n,caption:C,shown:m})]})}function ke({costs:t,currency:r}){let i=o(P),s=y(),c=a(),{dimension:l,groups:u,truncated:d}=t,p=s.name(l),m=e=>e==null?`–`:(0,F.jsx)(M,{amount:e,currency:r}),h=e=>e==null?`–`:E(e),g=t=>e(`logs`,f(c,{...J,currency:r,[l]:t})),_=u[0]?.row.inputTokens!==void 0,v=u[0]?.row.averageCost!==void 0,b=[{name:`value`,title:p,cell:({value:e})=>ge(l,e)?(0,F.jsx)(n,{href:g(e),children:s.value(l,e)}):s.value(l,e)},{name:`cost`,title:i.cost,figures:!0,cell:e=>m(e.amount)},{name:`share`,title:i.share,figures:!0,cell:({share:e})=>(0,F.jsx)(Ae,{share:e})},{name:`calls`,title:i.calls,figures:!0,cell:({row:e})=>C(e.calls)},{name:`failed`,title:i.failed,figures:!0,cell:({row:e})=>h(A(e.errors,e.calls))},_&&{name:`input`,title:i.input,figures:!0,cell:({row:e})=>C(e.inputTokens??`0`)},_&&{name:`output`,title:i.output,figures:!0,cell:({row:e})=>C(e.outputTokens??`0`)},_&&{name:`efficiency`,title:i.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},_&&{name:`cached`,title:i.cached,figures:!0,cell:({row:e})=>h(U(e))},v&&{name:`average`,title:i.average,figures:!0,cell:({row:e})=>m(e.averageCost)},v&&{name:`thousand`,title:i.perThousand,figures:!0,cell:({row:e})=>m(e.costPerThousandOutputTokens)},v&&{name:`failures`,title:i.failures,figures:!0,cell:({row:e})=>m(e.wastedOnFailures)}];return(0,F.jsxs)(`section`,{className:`panel`,children:[(0,F.jsx)(w,{caption:i.costsBy(p,r),columns:b.filter(e=>e!==!1),rows:u,keyOf:({value:e})=>e}),d&&(0,F.jsx)(`p`,{className:`quiet panel-note`,children:i.truncated})]})}function Ae({share:e}){return e===null?`–`:(0,F.jsxs)(`span`,{className:`share`,children:[(0,F.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,F.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,F.jsx)(`span`,{className:`share-figure`,children:E(e)})]})}function je({unpriced:e,filter:t,clear:n}){let r=o(P),{change:i}=g();return(0,F.jsxs)(p,{title:e===`0`?r.none:r.noAmounts,children:[(0,F.jsx)(`p`,{children:e===`0`?r.noneWhy:r.unpriced(C(e))}),(0,F.jsxs)(`p`,{className:`empty-actions`,children:[(0,F.jsx)(s,{onClick:()=>i({kind:`relative`,last:`30d`}),children:r.lastMonth}),!b(t)&&(0,F.jsx)(s,{onClick:n,children:r.clearFilters})]})]})}_(`
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
`);var Me=_(`
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
`),Ne=_(`
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
`),Pe=_(`
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
`),Fe=_(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`),Y=`0`;function Ie(e,t){return e.filter(e=>e.key.currency===t)}function Le(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function Re(e,t,n){let r=new Map(Ie(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??Y]));return t.slice(0,-1).map(e=>r.get(e)??Y)}function ze(e,t,n,{name:r,values:i,currency:a}){let o=Le(e),s=Re(e,o,a),c=new Map(Ie(t,a).map(e=>[`${e.key.bucketStart}|${B(e.key,r)}`,e.amount?.amount??Y])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??Y)})),u=s.map((e,t)=>ie(e,D(l.map(e=>e.amounts[t]??Y))));u.some(e=>O(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:Re(n,Le(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??Y)}}var Be=6,X=36e5,Ve=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Z={QUARTER_HOUR:X/4,HOUR:X,DAY:24*X,WEEK:168*X,MONTH:720*X},He=200;function Ue({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=Ve.filter(e=>e===`DAY`||n/Z[e]<=He&&n>=Z[e]),i=n<=5*X?`QUARTER_HOUR`:n<=50*X?`HOUR`:n<=100*Z.DAY?`DAY`:n<=730*Z.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function We(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function Ge(e,t){let{from:n,to:r}=l(t);return{...e,startedAt:{gte:n,lt:r}}}var Q=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function Ke(e){let t=u(),[n]=i(),{period:r}=g(),a=T(Fe,{filter:e},{wanted:t.mayFilter(`Call.tags`)&&t.mayAsk(`facets`)}),o=L.filter(e=>t.mayFilter(me(e))),s=[...o,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=n.get(`by`)??``,l=s.includes(c)||/^tag\..{1,100}$/.test(c)&&t.mayFilter(`Call.tags`)?c:o[0]??`model`,{possible:d,usual:f}=Ue(r);return{fields:o,dimensions:s,dimension:l,bucket:d.find(e=>e===n.get(`bucket`))??f}}function qe(e,{fields:t,dimension:n},r){let a=u(),[o]=i(),s=n!==`model`&&r.tokens&&a.mayFilter(`Call.model`),c=T(Me,{filter:e,...z(n),...r,models:s},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&t.length>0}),{groups:l,models:d}=c.data??{},f=l&&V(l.nodes,n)?l:null,p=(0,K.useMemo)(()=>_e(f?.totals??[]),[f]),m=p.find(e=>e===o.get(`money`))??p[0]??null,h=(0,K.useMemo)(()=>f&&m!==null?H(f.nodes,n,m):[],[f,n,m]),g=(0,K.useMemo)(()=>d&&m!==null?H(d.nodes,`model`,m):[],[d,m]);return{answer:c,report:f,currencies:p,currency:m,groups:h,models:n===`model`?h:g}}function Je(e,{dimension:t,bucket:n},r,i){let a=oe(),{period:o}=g(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Be).map(({value:e})=>e)),u=(0,K.useMemo)(()=>he(e,t,JSON.parse(l)),[e,t,l]),d=(0,K.useMemo)(()=>Ge(e,o),[e,o]),f=s!==null,p=T(Ne,{filter:e,top:u,...z(t),bucket:n,timeZone:a},{wanted:f}),m=T(Pe,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:h,shown:_}=p.data??{},v=m.data?.costs;return{answer:p,timeline:(0,K.useMemo)(()=>h&&_&&s!==null&&V(_.nodes,t)?ze(h.nodes,_.nodes,v?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[h,_,v,t,l,s]),totalBefore:Q(v?.totals,s)}}function Ye(){let e=u(),{callFilter:t}=S(),n=We(e),r=Ke(t),i=qe(t,r,n),a=Je(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:Q(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function Xe({costs:e,change:t}){let n=o(P),r=y(),{period:i}=g(),{dimension:a,dimensions:s,bucket:c,currencies:l,currency:u}=e,d=s.includes(a)?s:[...s,a];return(0,F.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,F.jsxs)(`label`,{className:`costs-by`,children:[(0,F.jsx)(`span`,{children:n.by}),(0,F.jsx)(`select`,{"data-filter":!0,value:a,onChange:e=>t({by:e.target.value}),children:d.map(e=>(0,F.jsx)(`option`,{value:e,children:r.name(e)},e))})]}),(0,F.jsx)(h,{label:n.width,options:Ue(i).possible.map(e=>({value:e,text:n.bucket[e]})),value:c,change:e=>t({bucket:e})}),u!==null&&l.length>1&&(0,F.jsx)(h,{label:n.currency,options:l.map(e=>({value:e,text:e})),value:u,change:e=>t({money:e})})]})}function Ze({now:e,before:t,currency:n}){let r=o(P),i=(e,t)=>e==null?`–`:(0,F.jsx)(M,{amount:e,currency:n,...t!==void 0&&{digits:t}}),a=(n,r)=>{let i=n(e);return i==null?null:(0,F.jsx)(xe,{change:W(i,t&&n(t)),good:r})},s=U(e),c=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:D([e.inputTokens,e.outputTokens]),l=c(e);return(0,F.jsxs)(`dl`,{className:`figures-grid`,children:[(0,F.jsx)($,{name:r.cost,change:a(e=>e.amount?.amount,`less`),children:i(e.amount?.amount)}),(0,F.jsx)($,{name:r.calls,change:a(e=>e.calls,`neither`),children:C(e.calls)}),l!==null&&(0,F.jsx)($,{name:r.tokens,change:a(c,`neither`),title:C(l),children:ee(l)}),e.averageCost!==void 0&&(0,F.jsx)($,{name:r.average,change:a(e=>e.averageCost,`less`),children:i(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,F.jsx)($,{name:r.perThousand,change:a(e=>e.costPerThousandOutputTokens,`less`),children:i(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,F.jsx)($,{name:r.efficiency,children:e.tokenEfficiency.toFixed(3)}),s!==null&&(0,F.jsx)($,{name:r.cached,children:E(s)}),e.wastedOnFailures!==void 0&&(0,F.jsx)($,{name:r.failures,change:a(e=>e.wastedOnFailures,`less`),children:i(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,F.jsx)($,{name:r.estimated,children:E(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,F.jsxs)(`div`,{className:`figure`,children:[(0,F.jsx)(`dt`,{children:e}),(0,F.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}function Qe(){let e=u(),[,t]=i(),{filter:n,choose:r,bound:a,clear:o}=S(),s=Ye(),{groups:c}=s.answers;return e.view(`CostRow.amount`)===`DENIED`?(0,F.jsx)(ne,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,F.jsxs)(`div`,{className:`page-body costs`,children:[(0,F.jsx)(Xe,{costs:s,change:t}),(0,F.jsx)(x,{filter:n,choose:r,bound:a}),c.problem?(0,F.jsx)(ne,{problem:c.problem,again:c.again}):(0,F.jsx)($e,{costs:s,filter:n,clear:o}),e.mayAsk(`budgets`)&&(0,F.jsx)(pe,{})]})}function $e({costs:e,filter:t,clear:n}){let r=o(P),{totals:i,total:a,totalBefore:s,currency:l,models:u}=e,{groups:d,time:f}=e.answers,p=i?.find(e=>!e.amount)?.calls??`0`;return i===null?(0,F.jsx)(c,{lines:8}):l===null||a===null?(0,F.jsx)(je,{unpriced:p,filter:t,clear:n}):(0,F.jsxs)(`div`,{className:`costs-answer`,"aria-busy":d.waiting||f.waiting,children:[(0,F.jsx)(Ze,{now:a,before:s,currency:l}),p!==`0`&&(0,F.jsx)(`p`,{className:`quiet`,children:r.unpriced(C(p))}),f.problem?(0,F.jsx)(m,{problem:f.problem,again:f.again}):(0,F.jsx)(Oe,{costs:e,currency:l}),(0,F.jsx)(ke,{costs:e,currency:l}),(0,F.jsx)(be,{models:u,currency:l})]})}export{Qe as default};