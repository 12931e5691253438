const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-CmE3dJjB.js","./index-ZPE9yaKK.js","./index-HRUQOO_n.css","./colour-CgQnJQnI.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{C as e,F as t,H as n,L as r,N as i,O as a,P as o,R as s,S as c,W as l,_ as u,a as d,b as f,d as p,f as m,g as h,h as g,i as _,k as v,l as y,m as b,p as x,s as S,y as ee,z as C}from"./index-ZPE9yaKK.js";import{E as w,S as te,_ as T,a as E,c as D,d as O,f as k,h as A,i as j,l as M,m as ne,o as re,p as N,r as P,s as ie,t as ae,u as oe,v as F,w as se,y as ce}from"./Moment-mKLXmvcw.js";import{n as le}from"./colour-CgQnJQnI.js";var I=c();function L({problem:e,again:t}){let n=a(ee);return e.code===`OUT_OF_RETENTION`||e.code===`FORBIDDEN`?(0,I.jsx)(x,{title:n.problem[e.code],children:(0,I.jsx)(`p`,{children:e.message})}):(0,I.jsx)(u,{problem:e,...t&&{again:t}})}var R=v({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,none:`No calls in this time.`,noneWhy:`Choose a longer time, or take a filter back.`,noAmounts:`No call of this time has an amount.`,lastMonth:`Last 30 days`,clearFilters:`Clear the filters`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`令牌数`,input:`输入令牌`,output:`输出令牌`,average:`每次调用费用`,perThousand:`每千个输出令牌`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额,未计入任何金额合计。`,overTime:e=>`费用趋势(${e})`,chart:e=>`${e}:柱状图,数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用(${t})`,truncated:`仅显示调用最多的一千项,导出可获得全部。`,equal:e=>`同等令牌下的模型对比(${e})`,equalWhy:`按各模型实际的每令牌费用,换算到相同的令牌数。输出比输入更贵,请同时参考输出占比。`,model:`模型`,perMillion:`每百万令牌`,forAll:`本时间段全部令牌`,outputShare:`输出占比`,budgets:`今日预算(UTC)`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支:`,none:`此时间段内没有调用。`,noneWhy:`请选择更长的时间,或移除筛选条件。`,noAmounts:`此时间段内的调用都没有金额。`,lastMonth:`最近 30 天`,clearFilters:`清除筛选`}),ue=e(`
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
`);function de(){let e=a(R),{data:t,problem:n,again:r}=N(ue,{});if(n)return(0,I.jsx)(u,{problem:n,again:r});let i=t?.budgets??[];return i.length===0?null:(0,I.jsx)(`section`,{className:`panel`,children:(0,I.jsx)(P,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,I.jsx)(j,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,I.jsx)(j,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,I.jsx)(j,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=O(t,n),i=E(t,n)>0;return(0,I.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:T(r)]})}}],rows:i,keyOf:({id:e})=>e})})}var z={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},B=Object.keys(z),V=/^tag\.(.{1,100})$/;function fe(e){return V.test(e)?`Call.tags`:te.find(t=>t.name===e)?.governs??``}function H(e){let t=V.exec(e)?.[1];return{groupBy:t===void 0?[z[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(B.map(t=>[t,t===e])),tags:t!==void 0}}function U(e,t){if(V.test(t))return e.tags?.[0]?.value??``;let n=e[t];return typeof n==`string`?n:``}function W(e,t){let n=V.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.[0]?.key===n)}function pe(e,t,n){let r=V.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function me(e,t){return t!==``||!V.test(e)&&e!==`status`}function he(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function G(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=k(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:U(e.key,t),amount:n,share:O(n,i),row:e})).toSorted((e,t)=>E(t.amount,e.amount))}function K(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:O(e.cacheReadTokens,e.inputTokens)}function q(e,t){if(t==null)return null;let n=O(e,t);return n===null?null:n-1}var ge=`1000000`;function _e(e){let t=k(e.map(({row:e})=>ve(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=ve(r),a=M(n,i,ge),o=M(n,i,t);return a===null||o===null?[]:[{model:e,tokens:i,outputShare:O(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>E(e.perMillion,t.perMillion))}function ve(e){return k([e.inputTokens??`0`,e.outputTokens??`0`])}function ye({models:e,currency:t}){let n=a(R),r=_e(e),i=Math.max(...r.map(e=>D(e.perMillion)),0);return r.length<2?null:(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(P,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${i>0?D(e)/i*100:0}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:(0,I.jsx)(j,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,I.jsx)(j,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>A(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:T(e)}],rows:r,keyOf:({model:e})=>e}),(0,I.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}var J=l(n(),1),be=9.99;function xe({change:e,good:t}){let n=a(R);if(e===null)return null;let r=e>0;return(0,I.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===r?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[r?`+`:e<0?`−`:`±`,Math.abs(e)>be?`>${T(be)}`:T(Math.abs(e)),(0,I.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}var Se=864e5;function Ce({timeline:e,named:n,currency:i,caption:s,shown:c}){let l=a(R),u=C(),{edges:f,lines:p,totals:m,before:h}=e,g=Date.parse(f[1]??``)-Date.parse(f[0]??``)<Se/2,_=e=>e===void 0?`–`:(0,I.jsx)(j,{amount:e,currency:i}),v=[{name:`time`,title:l.time,cell:e=>(0,I.jsx)(r,{href:t(`logs`,o(u,{...Y,currency:i,range:null,from:we(f[e]),to:we(f[e+1])})),tabIndex:c?void 0:-1,children:(0,I.jsx)(ae,{at:f[e]??``,text:(e,t)=>g?`${d(e,t)} ${S(e,t)}`:d(e,t)})})},...p.map((e,t)=>({name:String(t),title:n(e),figures:!0,cell:t=>_(e.amounts[t])})),{name:`total`,title:l.total,figures:!0,cell:e=>(0,I.jsx)(`strong`,{children:_(m[e])})}];return h!==null&&(v.push({name:`before`,title:l.before,figures:!0,cell:e=>_(h[e])}),v.push({name:`change`,title:l.change,figures:!0,cell:e=>(0,I.jsx)(xe,{change:q(m[e]??`0`,h[e]),good:`less`})})),(0,I.jsx)(`div`,{className:c?`panel-table`:`unseen`,children:(0,I.jsx)(P,{caption:s,quietCaption:!0,columns:v,rows:m.map((e,t)=>t),keyOf:e=>f[e]??``})})}function we(e){return e===void 0?null:new Date(e).toISOString()}var Te=(0,J.lazy)(()=>_(()=>import(`./TimeBars-CmE3dJjB.js`),__vite__mapDeps([0,1,2,3,4]),import.meta.url)),Ee=240,De=`--series-7`,Y={by:null,bucket:null,money:null};function Oe({costs:e,currency:n}){let r=a(R),i=w(),c=y(),l=C(),[,u]=s(),[d,p]=(0,J.useState)(!1),{timeline:h,dimension:g}=e,_=(0,J.useMemo)(()=>e=>e.value===null?r.others:i.value(g,e.value),[r,i,g]),v=(0,J.useMemo)(()=>(h?.lines??[]).map((e,t)=>({label:_(e),colour:e.value===null?De:le(t),values:e.amounts.map(D),text:t=>`${ie(e.amounts[t]??`0`)} ${n}`})),[h,_,n]),b=h?.before,x=(0,J.useMemo)(()=>b?{label:r.before,colour:`--text-quiet`,values:b.map(D),text:e=>`${ie(b[e]??`0`)} ${n}`}:void 0,[b,r,n]),S=r.overTime(n),ee=(e,r)=>u(t(`logs`,o(l,{...Y,currency:n,range:null,from:new Date(e).toISOString(),to:new Date(r).toISOString()})));return h===null?(0,I.jsx)(m,{lines:6}):(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsxs)(`header`,{className:`panel-head`,children:[(0,I.jsx)(`h2`,{children:S}),(0,I.jsxs)(`ul`,{className:`legend`,children:[v.map(e=>(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{style:{background:`var(${e.colour})`}}),e.label]},e.label)),x&&(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{className:`legend-line`}),x.label]})]}),(0,I.jsx)(f,{"aria-expanded":d,onClick:()=>p(!d),children:d?r.hideTable:r.showTable})]}),(0,I.jsx)(J.Suspense,{fallback:(0,I.jsx)(`div`,{style:{height:Ee}}),children:(0,I.jsx)(Te,{label:r.chart(S),edges:h.edges,series:v,...x&&{line:x},zone:c,height:Ee,axisText:e=>e===0?`0`:oe(String(e),0).replace(/\.$/,``),pressed:ee})}),(0,I.jsx)(Ce,{timeline:h,named:_,currency:n,caption:S,shown:d})]})}function ke({costs:e,currency:n}){let i=a(R),s=w(),c=C(),{dimension:l,groups:u,truncated:d}=e,f=s.name(l),p=e=>e==null?`–`:(0,I.jsx)(j,{amount:e,currency:n}),m=e=>e==null?`–`:T(e),h=e=>t(`logs`,o(c,{...Y,currency:n,[l]:e})),g=u[0]?.row.inputTokens!==void 0,_=u[0]?.row.averageCost!==void 0,v=[{name:`value`,title:f,cell:({value:e})=>me(l,e)?(0,I.jsx)(r,{href:h(e),children:s.value(l,e)}):s.value(l,e)},{name:`cost`,title:i.cost,figures:!0,cell:e=>p(e.amount)},{name:`share`,title:i.share,figures:!0,cell:({share:e})=>(0,I.jsx)(Ae,{share:e})},{name:`calls`,title:i.calls,figures:!0,cell:({row:e})=>A(e.calls)},{name:`failed`,title:i.failed,figures:!0,cell:({row:e})=>m(O(e.errors,e.calls))},g&&{name:`input`,title:i.input,figures:!0,cell:({row:e})=>A(e.inputTokens??`0`)},g&&{name:`output`,title:i.output,figures:!0,cell:({row:e})=>A(e.outputTokens??`0`)},g&&{name:`efficiency`,title:i.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},g&&{name:`cached`,title:i.cached,figures:!0,cell:({row:e})=>m(K(e))},_&&{name:`average`,title:i.average,figures:!0,cell:({row:e})=>p(e.averageCost)},_&&{name:`thousand`,title:i.perThousand,figures:!0,cell:({row:e})=>p(e.costPerThousandOutputTokens)},_&&{name:`failures`,title:i.failures,figures:!0,cell:({row:e})=>p(e.wastedOnFailures)}];return(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(P,{caption:i.costsBy(f,n),columns:v.filter(e=>e!==!1),rows:u,keyOf:({value:e})=>e}),d&&(0,I.jsx)(`p`,{className:`quiet panel-note`,children:i.truncated})]})}function Ae({share:e}){return e===null?`–`:(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:T(e)})]})}function je({unpriced:e,filter:t,clear:n}){let r=a(R),{change:i}=b();return(0,I.jsxs)(x,{title:e===`0`?r.none:r.noAmounts,children:[(0,I.jsx)(`p`,{children:e===`0`?r.noneWhy:r.unpriced(A(e))}),(0,I.jsxs)(`p`,{className:`empty-actions`,children:[(0,I.jsx)(f,{onClick:()=>i({kind:`relative`,last:`30d`}),children:r.lastMonth}),!ce(t)&&(0,I.jsx)(f,{onClick:n,children:r.clearFilters})]})]})}e(`
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
`);var Me=e(`
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
`),Ne=e(`
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
`),Pe=e(`
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
`),Fe=e(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`),X=`0`;function Ie(e,t){return e.filter(e=>e.key.currency===t)}function Le(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function Re(e,t,n){let r=new Map(Ie(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??X]));return t.slice(0,-1).map(e=>r.get(e)??X)}function ze(e,t,n,{name:r,values:i,currency:a}){let o=Le(e),s=Re(e,o,a),c=new Map(Ie(t,a).map(e=>[`${e.key.bucketStart}|${U(e.key,r)}`,e.amount?.amount??X])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??X)})),u=s.map((e,t)=>re(e,k(l.map(e=>e.amounts[t]??X))));u.some(e=>D(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:Re(n,Le(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??X)}}var Be=6,Z=36e5,Ve=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Q={QUARTER_HOUR:Z/4,HOUR:Z,DAY:24*Z,WEEK:168*Z,MONTH:720*Z},He=200;function Ue({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=Ve.filter(e=>e===`DAY`||n/Q[e]<=He&&n>=Q[e]),i=n<=5*Z?`QUARTER_HOUR`:n<=50*Z?`HOUR`:n<=100*Q.DAY?`DAY`:n<=730*Q.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function We(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function Ge(e,t){let{from:n,to:r}=g(t);return{...e,startedAt:{gte:n,lt:r}}}var Ke=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function qe(e){let t=h(),[n]=i(),{period:r}=b(),a=N(Fe,{filter:e},{wanted:t.mayFilter(`Call.tags`)&&t.mayAsk(`facets`)}),o=B.filter(e=>t.mayFilter(fe(e))),s=[...o,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=n.get(`by`)??``,l=s.includes(c)||/^tag\..{1,100}$/.test(c)&&t.mayFilter(`Call.tags`)?c:o[0]??`model`,{possible:u,usual:d}=Ue(r);return{fields:o,dimensions:s,dimension:l,bucket:u.find(e=>e===n.get(`bucket`))??d}}function Je(e,{fields:t,dimension:n},r){let a=h(),[o]=i(),s=n!==`model`&&r.tokens&&a.mayFilter(`Call.model`),c=N(Me,{filter:e,...H(n),...r,models:s},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&t.length>0}),{groups:l,models:u}=c.data??{},d=l&&W(l.nodes,n)?l:null,f=(0,J.useMemo)(()=>he(d?.totals??[]),[d]),p=f.find(e=>e===o.get(`money`))??f[0]??null,m=(0,J.useMemo)(()=>d&&p!==null?G(d.nodes,n,p):[],[d,n,p]),g=(0,J.useMemo)(()=>u&&p!==null?G(u.nodes,`model`,p):[],[u,p]);return{answer:c,report:d,currencies:f,currency:p,groups:m,models:n===`model`?m:g}}function Ye(e,{dimension:t,bucket:n},r,i){let a=y(),{period:o}=b(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Be).map(({value:e})=>e)),u=(0,J.useMemo)(()=>pe(e,t,JSON.parse(l)),[e,t,l]),d=(0,J.useMemo)(()=>Ge(e,o),[e,o]),f=s!==null,p=N(Ne,{filter:e,top:u,...H(t),bucket:n,timeZone:a},{wanted:f}),m=N(Pe,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:h,shown:g}=p.data??{},_=m.data?.costs;return{answer:p,timeline:(0,J.useMemo)(()=>h&&g&&s!==null&&W(g.nodes,t)?ze(h.nodes,g.nodes,_?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[h,g,_,t,l,s]),totalBefore:Ke(_?.totals,s)}}function Xe(){let e=h(),{callFilter:t}=F(),n=We(e),r=qe(t),i=Je(t,r,n),a=Ye(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:Ke(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function Ze({costs:e,change:t}){let n=a(R),r=w(),{period:i}=b(),{dimension:o,dimensions:s,bucket:c,currencies:l,currency:u}=e,d=s.includes(o)?s:[...s,o];return(0,I.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,I.jsxs)(`label`,{className:`costs-by`,children:[(0,I.jsx)(`span`,{children:n.by}),(0,I.jsx)(`select`,{"data-filter":!0,value:o,onChange:e=>t({by:e.target.value}),children:d.map(e=>(0,I.jsx)(`option`,{value:e,children:r.name(e)},e))})]}),(0,I.jsx)(p,{label:n.width,options:Ue(i).possible.map(e=>({value:e,text:n.bucket[e]})),value:c,change:e=>t({bucket:e})}),u!==null&&l.length>1&&(0,I.jsx)(p,{label:n.currency,options:l.map(e=>({value:e,text:e})),value:u,change:e=>t({money:e})})]})}function Qe({now:e,before:t,currency:n}){let r=a(R),i=(e,t)=>e==null?`–`:(0,I.jsx)(j,{amount:e,currency:n,...t!==void 0&&{digits:t}}),o=(n,r)=>{let i=n(e);return i==null?null:(0,I.jsx)(xe,{change:q(i,t&&n(t)),good:r})},s=K(e),c=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:k([e.inputTokens,e.outputTokens]),l=c(e);return(0,I.jsxs)(`dl`,{className:`figures-grid`,children:[(0,I.jsx)($,{name:r.cost,change:o(e=>e.amount?.amount,`less`),children:i(e.amount?.amount)}),(0,I.jsx)($,{name:r.calls,change:o(e=>e.calls,`neither`),children:A(e.calls)}),l!==null&&(0,I.jsx)($,{name:r.tokens,change:o(c,`neither`),title:A(l),children:ne(l)}),e.averageCost!==void 0&&(0,I.jsx)($,{name:r.average,change:o(e=>e.averageCost,`less`),children:i(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,I.jsx)($,{name:r.perThousand,change:o(e=>e.costPerThousandOutputTokens,`less`),children:i(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,I.jsx)($,{name:r.efficiency,children:e.tokenEfficiency.toFixed(3)}),s!==null&&(0,I.jsx)($,{name:r.cached,children:T(s)}),e.wastedOnFailures!==void 0&&(0,I.jsx)($,{name:r.failures,change:o(e=>e.wastedOnFailures,`less`),children:i(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,I.jsx)($,{name:r.estimated,children:T(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,I.jsxs)(`div`,{className:`figure`,children:[(0,I.jsx)(`dt`,{children:e}),(0,I.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}function $e(){let e=h(),[,t]=i(),{filter:n,choose:r,bound:a,clear:o}=F(),s=Xe(),{groups:c}=s.answers;return e.view(`CostRow.amount`)===`DENIED`?(0,I.jsx)(L,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,I.jsxs)(`div`,{className:`page-body costs`,children:[(0,I.jsx)(Ze,{costs:s,change:t}),(0,I.jsx)(se,{filter:n,choose:r,bound:a}),c.problem?(0,I.jsx)(L,{problem:c.problem,again:c.again}):(0,I.jsx)(et,{costs:s,filter:n,clear:o}),e.mayAsk(`budgets`)&&(0,I.jsx)(de,{})]})}function et({costs:e,filter:t,clear:n}){let r=a(R),{totals:i,total:o,totalBefore:s,currency:c,models:l}=e,{groups:d,time:f}=e.answers,p=i?.find(e=>!e.amount)?.calls??`0`;return i===null?(0,I.jsx)(m,{lines:8}):c===null||o===null?(0,I.jsx)(je,{unpriced:p,filter:t,clear:n}):(0,I.jsxs)(`div`,{className:`costs-answer`,"aria-busy":d.waiting||f.waiting,children:[(0,I.jsx)(Qe,{now:o,before:s,currency:c}),p!==`0`&&(0,I.jsx)(`p`,{className:`quiet`,children:r.unpriced(A(p))}),f.problem?(0,I.jsx)(u,{problem:f.problem,again:f.again}):(0,I.jsx)(Oe,{costs:e,currency:c}),(0,I.jsx)(ke,{costs:e,currency:c}),(0,I.jsx)(ye,{models:l,currency:c})]})}export{$e as default};