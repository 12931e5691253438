const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-BTY9At0U.js","./zone-BdkYMsVa.js","./colour-C2IhgvLJ.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{A as e,E as t,M as n,N as r,O as i,P as a,T as o,_ as s,c,d as l,f as u,i as d,k as f,m as p,s as m,u as h,y as g}from"./index-BNrhFSbW.js";import{a as _,l as v,s as y,t as b}from"./useFilter-BnQlN5Af.js";import{a as x,i as S,n as C,r as w,s as T,t as ee}from"./Moment-CeHK7qrJ.js";import{t as E}from"./NoAnswer-CbmLt-VX.js";import{a as D,c as te,i as ne,l as O,n as re,o as k,r as A,s as ie,t as ae,u as j}from"./Nothing-DuFbvnlS.js";import{t as M}from"./Amount-DcdqaMEh.js";import{_ as oe,c as N,d as se,i as ce,m as le,t as P}from"./zone-BdkYMsVa.js";import{n as ue}from"./colour-C2IhgvLJ.js";var F=t({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,noAmounts:`No call of this time has an amount.`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`Token 数`,input:`输入 token`,output:`输出 token`,average:`每次调用费用`,perThousand:`每千个输出 token`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额，未计入任何金额合计。`,overTime:e=>`费用趋势（${e}）`,chart:e=>`${e}：柱状图，数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用（${t}）`,truncated:`仅显示调用最多的一千项，导出可获得全部。`,equal:e=>`同等 token 下的模型对比（${e}）`,equalWhy:`按各模型实际的每 token 费用，换算到相同的 token 数。输出比输入更贵，请同时参考输出占比。`,model:`模型`,perMillion:`每百万 token`,forAll:`本时间段全部 token`,outputShare:`输出占比`,budgets:`今日预算（UTC）`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支：`,noAmounts:`此时间段内的调用都没有金额。`}),I=se(),de=g(`
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
`);function fe(){let e=o(F),{data:t,problem:n,again:r}=w(de,{});if(n)return(0,I.jsx)(p,{problem:n,again:r});let i=t?.budgets??[];return i.length===0?null:(0,I.jsx)(`section`,{className:`panel`,children:(0,I.jsx)(C,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,I.jsx)(M,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,I.jsx)(M,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,I.jsx)(M,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=O(t,n),i=A(t,n)>0;return(0,I.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:T(r)]})}}],rows:i,keyOf:({id:e})=>e})})}var L={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},R=Object.keys(L),z=/^tag\.(.{1,100})$/;function pe(e){return z.test(e)?`Call.tags`:_.find(t=>t.name===e)?.governs??``}function B(e){let t=z.exec(e)?.[1];return{groupBy:t===void 0?[L[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(R.map(t=>[t,t===e])),tags:t!==void 0}}function V(e,t){if(z.test(t))return e.tags?.[0]?.value??``;let n=e[t];return typeof n==`string`?n:``}function H(e,t){let n=z.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.[0]?.key===n)}function me(e,t,n){let r=z.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function he(e,t){return t!==``||!z.test(e)&&e!==`status`}function ge(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function U(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=j(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:V(e.key,t),amount:n,share:O(n,i),row:e})).toSorted((e,t)=>A(t.amount,e.amount))}function W(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:O(e.cacheReadTokens,e.inputTokens)}function G(e,t){if(t==null)return null;let n=O(e,t);return n===null?null:n-1}var _e=`1000000`;function ve(e){let t=j(e.map(({row:e})=>K(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=K(r),a=ie(n,i,_e),o=ie(n,i,t);return a===null||o===null?[]:[{model:e,tokens:i,outputShare:O(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>A(e.perMillion,t.perMillion))}function K(e){return j([e.inputTokens??`0`,e.outputTokens??`0`])}function ye({models:e,currency:t}){let n=o(F),r=ve(e),i=Math.max(...r.map(e=>k(e.perMillion)),0);return r.length<2?null:(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(C,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${i>0?k(e)/i*100:0}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:(0,I.jsx)(M,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,I.jsx)(M,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>x(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:T(e)}],rows:r,keyOf:({model:e})=>e}),(0,I.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}var q=oe(le(),1),be=9.99;function xe({change:e,good:t}){let n=o(F);if(e===null)return null;let r=e>0;return(0,I.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===r?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[e>be?`×${S(Math.round(e+1))}`:`${r?`+`:e<0?`−`:`±`}${T(Math.abs(e))}`,(0,I.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}var Se=864e5;function Ce({timeline:t,named:r,currency:i,caption:s,shown:c}){let l=o(F),u=a(),{edges:d,lines:p,totals:m,before:h}=t,g=Date.parse(d[1]??``)-Date.parse(d[0]??``)<Se/2,_=e=>e===void 0?`–`:(0,I.jsx)(M,{amount:e,currency:i}),v=[{name:`time`,title:l.time,cell:t=>(0,I.jsx)(n,{href:e(`logs`,f(u,{...J,currency:i,range:null,from:we(d[t]),to:we(d[t+1])})),tabIndex:c?void 0:-1,children:(0,I.jsx)(ee,{at:d[t]??``,text:(e,t)=>g?`${P(e,t)} ${ce(e,t)}`:P(e,t)})})},...p.map((e,t)=>({name:String(t),title:r(e),figures:!0,cell:t=>_(e.amounts[t])})),{name:`total`,title:l.total,figures:!0,cell:e=>(0,I.jsx)(`strong`,{children:_(m[e])})}];return h!==null&&(v.push({name:`before`,title:l.before,figures:!0,cell:e=>_(h[e])}),v.push({name:`change`,title:l.change,figures:!0,cell:e=>(0,I.jsx)(xe,{change:G(m[e]??`0`,h[e]),good:`less`})})),(0,I.jsx)(`div`,{className:c?`panel-table`:`unseen`,children:(0,I.jsx)(C,{caption:s,quietCaption:!0,columns:v,rows:m.map((e,t)=>t),keyOf:e=>d[e]??``})})}function we(e){return e===void 0?null:new Date(e).toISOString()}var Te=(0,q.lazy)(()=>d(()=>import(`./TimeBars-BTY9At0U.js`),__vite__mapDeps([0,1,2,3]),import.meta.url)),Ee=240,De=`--series-7`,J={by:null,bucket:null,money:null};function Oe({costs:t,currency:n}){let i=o(F),l=v(),u=N(),d=a(),[,p]=r(),[m,h]=(0,q.useState)(!1),{timeline:g,dimension:_}=t,y=(0,q.useMemo)(()=>e=>e.value===null?i.others:l.value(_,e.value),[i,l,_]),b=(0,q.useMemo)(()=>(g?.lines??[]).map((e,t)=>({label:y(e),colour:e.value===null?De:ue(t),values:e.amounts.map(k),text:t=>`${D(e.amounts[t]??`0`)} ${n}`})),[g,y,n]),x=g?.before,S=(0,q.useMemo)(()=>x?{label:i.before,colour:`--text-quiet`,values:x.map(k),text:e=>`${D(x[e]??`0`)} ${n}`}:void 0,[x,i,n]),C=i.overTime(n),w=(t,r)=>p(e(`logs`,f(d,{...J,currency:n,range:null,from:new Date(t).toISOString(),to:new Date(r).toISOString()})));return g===null?(0,I.jsx)(c,{lines:6}):(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsxs)(`header`,{className:`panel-head`,children:[(0,I.jsx)(`h2`,{children:C}),(0,I.jsxs)(`ul`,{className:`legend`,children:[b.map(e=>(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{style:{background:`var(${e.colour})`}}),e.label]},e.label)),S&&(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{className:`legend-line`}),S.label]})]}),(0,I.jsx)(s,{"aria-expanded":m,onClick:()=>h(!m),children:m?i.hideTable:i.showTable})]}),(0,I.jsx)(q.Suspense,{fallback:(0,I.jsx)(`div`,{style:{height:Ee}}),children:(0,I.jsx)(Te,{label:i.chart(C),edges:g.edges,series:b,...S&&{line:S},zone:u,height:Ee,axisText:e=>e===0?`0`:te(String(e),0).replace(/\.$/,``),pressed:w})}),(0,I.jsx)(Ce,{timeline:g,named:y,currency:n,caption:C,shown:m})]})}function ke({costs:t,currency:r}){let i=o(F),s=v(),c=a(),{dimension:l,groups:u,truncated:d}=t,p=s.name(l),m=e=>e==null?`–`:(0,I.jsx)(M,{amount:e,currency:r}),h=e=>e==null?`–`:T(e),g=t=>e(`logs`,f(c,{...J,currency:r,[l]:t})),_=u[0]?.row.inputTokens!==void 0,y=u[0]?.row.averageCost!==void 0,b=[{name:`value`,title:p,cell:({value:e})=>he(l,e)?(0,I.jsx)(n,{href:g(e),children:s.value(l,e)}):s.value(l,e)},{name:`cost`,title:i.cost,figures:!0,cell:e=>m(e.amount)},{name:`share`,title:i.share,figures:!0,cell:({share:e})=>(0,I.jsx)(Ae,{share:e})},{name:`calls`,title:i.calls,figures:!0,cell:({row:e})=>x(e.calls)},{name:`failed`,title:i.failed,figures:!0,cell:({row:e})=>h(O(e.errors,e.calls))},_&&{name:`input`,title:i.input,figures:!0,cell:({row:e})=>x(e.inputTokens??`0`)},_&&{name:`output`,title:i.output,figures:!0,cell:({row:e})=>x(e.outputTokens??`0`)},_&&{name:`efficiency`,title:i.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},_&&{name:`cached`,title:i.cached,figures:!0,cell:({row:e})=>h(W(e))},y&&{name:`average`,title:i.average,figures:!0,cell:({row:e})=>m(e.averageCost)},y&&{name:`thousand`,title:i.perThousand,figures:!0,cell:({row:e})=>m(e.costPerThousandOutputTokens)},y&&{name:`failures`,title:i.failures,figures:!0,cell:({row:e})=>m(e.wastedOnFailures)}];return(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(C,{caption:i.costsBy(p,r),columns:b.filter(e=>e!==!1),rows:u,keyOf:({value:e})=>e}),d&&(0,I.jsx)(`p`,{className:`quiet panel-note`,children:i.truncated})]})}function Ae({share:e}){return e===null?`–`:(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:T(e)})]})}function je({unpriced:e,refusal:t,filter:n,callFilter:r,clear:i}){let a=o(F);return e===`0`?(0,I.jsx)(re,{filter:n,callFilter:r,refusal:t,clear:i}):(0,I.jsx)(ae,{title:a.noAmounts,why:a.unpriced(x(e)),filter:n,clear:i})}g(`
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
`);var Me=g(`
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
`),Ne=g(`
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
`),Pe=g(`
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
`),Fe=g(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`),Y=`0`;function Ie(e,t){return e.filter(e=>e.key.currency===t)}function Le(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function Re(e,t,n){let r=new Map(Ie(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??Y]));return t.slice(0,-1).map(e=>r.get(e)??Y)}function ze(e,t,n,{name:r,values:i,currency:a}){let o=Le(e),s=Re(e,o,a),c=new Map(Ie(t,a).map(e=>[`${e.key.bucketStart}|${V(e.key,r)}`,e.amount?.amount??Y])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??Y)})),u=s.map((e,t)=>ne(e,j(l.map(e=>e.amounts[t]??Y))));u.some(e=>k(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:Re(n,Le(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??Y)}}var Be=6,X=36e5,Ve=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Z={QUARTER_HOUR:X/4,HOUR:X,DAY:24*X,WEEK:168*X,MONTH:720*X},He=200;function Ue({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=Ve.filter(e=>e===`DAY`||n/Z[e]<=He&&n>=Z[e]),i=n<=5*X?`QUARTER_HOUR`:n<=50*X?`HOUR`:n<=100*Z.DAY?`DAY`:n<=730*Z.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function We(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function Ge(e,t){let{from:n,to:r}=l(t);return{...e,startedAt:{gte:n,lt:r}}}var Q=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function Ke(e){let t=u(),[n]=i(),{period:r}=h(),a=w(Fe,{filter:e},{wanted:t.mayFilter(`Call.tags`)&&t.mayAsk(`facets`)}),o=R.filter(e=>t.mayFilter(pe(e))),s=[...o,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=n.get(`by`)??``,l=s.includes(c)||/^tag\..{1,100}$/.test(c)&&t.mayFilter(`Call.tags`)?c:o[0]??`model`,{possible:d,usual:f}=Ue(r);return{fields:o,dimensions:s,dimension:l,bucket:d.find(e=>e===n.get(`bucket`))??f}}function qe(e,{fields:t,dimension:n},r){let a=u(),[o]=i(),s=n!==`model`&&r.tokens&&a.mayFilter(`Call.model`),c=w(Me,{filter:e,...B(n),...r,models:s},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&t.length>0}),{groups:l,models:d}=c.data??{},f=l&&H(l.nodes,n)?l:null,p=(0,q.useMemo)(()=>ge(f?.totals??[]),[f]),m=p.find(e=>e===o.get(`money`))??p[0]??null,h=(0,q.useMemo)(()=>f&&m!==null?U(f.nodes,n,m):[],[f,n,m]),g=(0,q.useMemo)(()=>d&&m!==null?U(d.nodes,`model`,m):[],[d,m]);return{answer:c,report:f,currencies:p,currency:m,groups:h,models:n===`model`?h:g}}function Je(e,{dimension:t,bucket:n},r,i){let a=N(),{period:o}=h(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Be).map(({value:e})=>e)),u=(0,q.useMemo)(()=>me(e,t,JSON.parse(l)),[e,t,l]),d=(0,q.useMemo)(()=>Ge(e,o),[e,o]),f=s!==null,p=w(Ne,{filter:e,top:u,...B(t),bucket:n,timeZone:a},{wanted:f}),m=w(Pe,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:g,shown:_}=p.data??{},v=m.data?.costs;return{answer:p,timeline:(0,q.useMemo)(()=>g&&_&&s!==null&&H(_.nodes,t)?ze(g.nodes,_.nodes,v?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[g,_,v,t,l,s]),totalBefore:Q(v?.totals,s)}}function Ye(){let e=u(),{callFilter:t}=b(),n=We(e),r=Ke(t),i=qe(t,r,n),a=Je(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:Q(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function Xe({costs:e,change:t}){let n=o(F),r=v(),{period:i}=h(),{dimension:a,dimensions:s,bucket:c,currencies:l,currency:u}=e,d=s.includes(a)?s:[...s,a];return(0,I.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,I.jsxs)(`label`,{className:`costs-by`,children:[(0,I.jsx)(`span`,{children:n.by}),(0,I.jsx)(`select`,{"data-filter":!0,value:a,onChange:e=>t({by:e.target.value}),children:d.map(e=>(0,I.jsx)(`option`,{value:e,children:r.name(e)},e))})]}),(0,I.jsx)(m,{label:n.width,options:Ue(i).possible.map(e=>({value:e,text:n.bucket[e]})),value:c,change:e=>t({bucket:e})}),u!==null&&l.length>1&&(0,I.jsx)(m,{label:n.currency,options:l.map(e=>({value:e,text:e})),value:u,change:e=>t({money:e})})]})}function Ze({now:e,before:t,currency:n}){let r=o(F),i=(e,t)=>e==null?`–`:(0,I.jsx)(M,{amount:e,currency:n,...t!==void 0&&{digits:t}}),a=(n,r)=>{let i=n(e);return i==null?null:(0,I.jsx)(xe,{change:G(i,t&&n(t)),good:r})},s=W(e),c=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:j([e.inputTokens,e.outputTokens]),l=c(e);return(0,I.jsxs)(`dl`,{className:`figures-grid`,children:[(0,I.jsx)($,{name:r.cost,change:a(e=>e.amount?.amount,`less`),children:i(e.amount?.amount)}),(0,I.jsx)($,{name:r.calls,change:a(e=>e.calls,`neither`),children:x(e.calls)}),l!==null&&(0,I.jsx)($,{name:r.tokens,change:a(c,`neither`),title:x(l),children:S(l)}),e.averageCost!==void 0&&(0,I.jsx)($,{name:r.average,change:a(e=>e.averageCost,`less`),children:i(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,I.jsx)($,{name:r.perThousand,change:a(e=>e.costPerThousandOutputTokens,`less`),children:i(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,I.jsx)($,{name:r.efficiency,children:e.tokenEfficiency.toFixed(3)}),s!==null&&(0,I.jsx)($,{name:r.cached,children:T(s)}),e.wastedOnFailures!==void 0&&(0,I.jsx)($,{name:r.failures,change:a(e=>e.wastedOnFailures,`less`),children:i(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,I.jsx)($,{name:r.estimated,children:T(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,I.jsxs)(`div`,{className:`figure`,children:[(0,I.jsx)(`dt`,{children:e}),(0,I.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}function Qe(){let e=u(),[,t]=i(),{filter:n,callFilter:r,choose:a,bound:o,clear:s}=b(),c=Ye(),{groups:l}=c.answers;return e.view(`CostRow.amount`)===`DENIED`?(0,I.jsx)(E,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,I.jsxs)(`div`,{className:`page-body costs`,children:[(0,I.jsx)(Xe,{costs:c,change:t}),(0,I.jsx)(y,{filter:n,choose:a,bound:o}),(0,I.jsx)($e,{costs:c,none:e=>(0,I.jsx)(je,{unpriced:e,refusal:l.problem,filter:n,callFilter:r,clear:s})}),e.mayAsk(`budgets`)&&(0,I.jsx)(fe,{})]})}function $e({costs:e,none:t}){let n=o(F),{totals:r,total:i,totalBefore:a,currency:s,models:l}=e,{groups:u,time:d}=e.answers,f=r?.find(e=>!e.amount)?.calls??`0`;return u.problem?.code===`OUT_OF_RETENTION`?t(`0`):u.problem?(0,I.jsx)(E,{problem:u.problem,again:u.again}):r===null?(0,I.jsx)(c,{lines:8}):s===null||i===null?t(f):(0,I.jsxs)(`div`,{className:`costs-answer`,"aria-busy":u.waiting||d.waiting,children:[(0,I.jsx)(Ze,{now:i,before:a,currency:s}),f!==`0`&&(0,I.jsx)(`p`,{className:`quiet`,children:n.unpriced(x(f))}),d.problem?(0,I.jsx)(p,{problem:d.problem,again:d.again}):(0,I.jsx)(Oe,{costs:e,currency:s}),(0,I.jsx)(ke,{costs:e,currency:s}),(0,I.jsx)(ye,{models:l,currency:s})]})}export{Qe as default};