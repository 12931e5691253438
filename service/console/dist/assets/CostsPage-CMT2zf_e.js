const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-DLsuqWAu.js","./index-BUEWBGpa.js","./index-HRUQOO_n.css","./colour-DTA48soU.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{B as e,G as t,H as n,I as r,L as i,M as a,R as o,S as s,T as c,V as l,_ as u,a as d,f,g as p,h as m,i as h,j as g,l as _,m as v,p as y,q as b,s as x,w as S,y as C}from"./index-BUEWBGpa.js";import{_ as w,a as T,c as E,h as ee,i as D,l as O,n as te,o as ne,p as re,r as ie,s as k,t as A,u as ae}from"./decimal-ip3GwHqz.js";import{a as j,i as oe,n as M,r as N,s as P,t as se}from"./Moment-Bg2Hkztc.js";import{t as ce}from"./NoAnswer-DhuXidcU.js";import{t as F}from"./Amount-CinZSv7e.js";import{n as le}from"./colour-DTA48soU.js";var I=a({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,none:`No calls in this time.`,noneWhy:`Choose a longer time, or take a filter back.`,noAmounts:`No call of this time has an amount.`,lastMonth:`Last 30 days`,clearFilters:`Clear the filters`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`令牌数`,input:`输入令牌`,output:`输出令牌`,average:`每次调用费用`,perThousand:`每千个输出令牌`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额,未计入任何金额合计。`,overTime:e=>`费用趋势(${e})`,chart:e=>`${e}:柱状图,数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用(${t})`,truncated:`仅显示调用最多的一千项,导出可获得全部。`,equal:e=>`同等令牌下的模型对比(${e})`,equalWhy:`按各模型实际的每令牌费用,换算到相同的令牌数。输出比输入更贵,请同时参考输出占比。`,model:`模型`,perMillion:`每百万令牌`,forAll:`本时间段全部令牌`,outputShare:`输出占比`,budgets:`今日预算(UTC)`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支:`,none:`此时间段内没有调用。`,noneWhy:`请选择更长的时间,或移除筛选条件。`,noAmounts:`此时间段内的调用都没有金额。`,lastMonth:`最近 30 天`,clearFilters:`清除筛选`}),L=S(),ue=c(`
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
`);function de(){let e=g(I),{data:t,problem:n,again:r}=N(ue,{});if(n)return(0,L.jsx)(C,{problem:n,again:r});let i=t?.budgets??[];return i.length===0?null:(0,L.jsx)(`section`,{className:`panel`,children:(0,L.jsx)(M,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,L.jsx)(F,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,L.jsx)(F,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,L.jsx)(F,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=k(t,n),i=A(t,n)>0;return(0,L.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:P(r)]})}}],rows:i,keyOf:({id:e})=>e})})}var R={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},z=Object.keys(R),B=/^tag\.(.{1,100})$/;function fe(e){return B.test(e)?`Call.tags`:re.find(t=>t.name===e)?.governs??``}function V(e){let t=B.exec(e)?.[1];return{groupBy:t===void 0?[R[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(z.map(t=>[t,t===e])),tags:t!==void 0}}function H(e,t){if(B.test(t))return e.tags?.[0]?.value??``;let n=e[t];return typeof n==`string`?n:``}function U(e,t){let n=B.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.[0]?.key===n)}function pe(e,t,n){let r=B.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function me(e,t){return t!==``||!B.test(e)&&e!==`status`}function he(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function W(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=E(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:H(e.key,t),amount:n,share:k(n,i),row:e})).toSorted((e,t)=>A(t.amount,e.amount))}function G(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:k(e.cacheReadTokens,e.inputTokens)}function K(e,t){if(t==null)return null;let n=k(e,t);return n===null?null:n-1}var ge=`1000000`;function _e(e){let t=E(e.map(({row:e})=>ve(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=ve(r),a=T(n,i,ge),o=T(n,i,t);return a===null||o===null?[]:[{model:e,tokens:i,outputShare:k(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>A(e.perMillion,t.perMillion))}function ve(e){return E([e.inputTokens??`0`,e.outputTokens??`0`])}function ye({models:e,currency:t}){let n=g(I),r=_e(e),i=Math.max(...r.map(e=>D(e.perMillion)),0);return r.length<2?null:(0,L.jsxs)(`section`,{className:`panel`,children:[(0,L.jsx)(M,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,L.jsxs)(`span`,{className:`share`,children:[(0,L.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,L.jsx)(`span`,{style:{width:`${i>0?D(e)/i*100:0}%`}})}),(0,L.jsx)(`span`,{className:`share-figure`,children:(0,L.jsx)(F,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,L.jsx)(F,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>j(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:P(e)}],rows:r,keyOf:({model:e})=>e}),(0,L.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}var q=b(t(),1),be=9.99;function xe({change:e,good:t}){let n=g(I);if(e===null)return null;let r=e>0;return(0,L.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===r?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[r?`+`:e<0?`−`:`±`,Math.abs(e)>be?`>${P(be)}`:P(Math.abs(e)),(0,L.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}var Se=864e5;function Ce({timeline:t,named:r,currency:a,caption:s,shown:c}){let l=g(I),u=n(),{edges:f,lines:p,totals:m,before:h}=t,_=Date.parse(f[1]??``)-Date.parse(f[0]??``)<Se/2,v=e=>e===void 0?`–`:(0,L.jsx)(F,{amount:e,currency:a}),y=[{name:`time`,title:l.time,cell:t=>(0,L.jsx)(e,{href:o(`logs`,i(u,{...J,currency:a,range:null,from:we(f[t]),to:we(f[t+1])})),tabIndex:c?void 0:-1,children:(0,L.jsx)(se,{at:f[t]??``,text:(e,t)=>_?`${d(e,t)} ${x(e,t)}`:d(e,t)})})},...p.map((e,t)=>({name:String(t),title:r(e),figures:!0,cell:t=>v(e.amounts[t])})),{name:`total`,title:l.total,figures:!0,cell:e=>(0,L.jsx)(`strong`,{children:v(m[e])})}];return h!==null&&(y.push({name:`before`,title:l.before,figures:!0,cell:e=>v(h[e])}),y.push({name:`change`,title:l.change,figures:!0,cell:e=>(0,L.jsx)(xe,{change:K(m[e]??`0`,h[e]),good:`less`})})),(0,L.jsx)(`div`,{className:c?`panel-table`:`unseen`,children:(0,L.jsx)(M,{caption:s,quietCaption:!0,columns:y,rows:m.map((e,t)=>t),keyOf:e=>f[e]??``})})}function we(e){return e===void 0?null:new Date(e).toISOString()}var Te=(0,q.lazy)(()=>h(()=>import(`./TimeBars-DLsuqWAu.js`),__vite__mapDeps([0,1,2,3,4]),import.meta.url)),Ee=240,De=`--series-7`,J={by:null,bucket:null,money:null};function Oe({costs:e,currency:t}){let r=g(I),a=w(),c=_(),u=n(),[,d]=l(),[f,p]=(0,q.useState)(!1),{timeline:m,dimension:h}=e,v=(0,q.useMemo)(()=>e=>e.value===null?r.others:a.value(h,e.value),[r,a,h]),b=(0,q.useMemo)(()=>(m?.lines??[]).map((e,n)=>({label:v(e),colour:e.value===null?De:le(n),values:e.amounts.map(D),text:n=>`${ie(e.amounts[n]??`0`)} ${t}`})),[m,v,t]),x=m?.before,S=(0,q.useMemo)(()=>x?{label:r.before,colour:`--text-quiet`,values:x.map(D),text:e=>`${ie(x[e]??`0`)} ${t}`}:void 0,[x,r,t]),C=r.overTime(t),T=(e,n)=>d(o(`logs`,i(u,{...J,currency:t,range:null,from:new Date(e).toISOString(),to:new Date(n).toISOString()})));return m===null?(0,L.jsx)(y,{lines:6}):(0,L.jsxs)(`section`,{className:`panel`,children:[(0,L.jsxs)(`header`,{className:`panel-head`,children:[(0,L.jsx)(`h2`,{children:C}),(0,L.jsxs)(`ul`,{className:`legend`,children:[b.map(e=>(0,L.jsxs)(`li`,{children:[(0,L.jsx)(`i`,{style:{background:`var(${e.colour})`}}),e.label]},e.label)),S&&(0,L.jsxs)(`li`,{children:[(0,L.jsx)(`i`,{className:`legend-line`}),S.label]})]}),(0,L.jsx)(s,{"aria-expanded":f,onClick:()=>p(!f),children:f?r.hideTable:r.showTable})]}),(0,L.jsx)(q.Suspense,{fallback:(0,L.jsx)(`div`,{style:{height:Ee}}),children:(0,L.jsx)(Te,{label:r.chart(C),edges:m.edges,series:b,...S&&{line:S},zone:c,height:Ee,axisText:e=>e===0?`0`:ne(String(e),0).replace(/\.$/,``),pressed:T})}),(0,L.jsx)(Ce,{timeline:m,named:v,currency:t,caption:C,shown:f})]})}function ke({costs:t,currency:r}){let a=g(I),s=w(),c=n(),{dimension:l,groups:u,truncated:d}=t,f=s.name(l),p=e=>e==null?`–`:(0,L.jsx)(F,{amount:e,currency:r}),m=e=>e==null?`–`:P(e),h=e=>o(`logs`,i(c,{...J,currency:r,[l]:e})),_=u[0]?.row.inputTokens!==void 0,v=u[0]?.row.averageCost!==void 0,y=[{name:`value`,title:f,cell:({value:t})=>me(l,t)?(0,L.jsx)(e,{href:h(t),children:s.value(l,t)}):s.value(l,t)},{name:`cost`,title:a.cost,figures:!0,cell:e=>p(e.amount)},{name:`share`,title:a.share,figures:!0,cell:({share:e})=>(0,L.jsx)(Ae,{share:e})},{name:`calls`,title:a.calls,figures:!0,cell:({row:e})=>j(e.calls)},{name:`failed`,title:a.failed,figures:!0,cell:({row:e})=>m(k(e.errors,e.calls))},_&&{name:`input`,title:a.input,figures:!0,cell:({row:e})=>j(e.inputTokens??`0`)},_&&{name:`output`,title:a.output,figures:!0,cell:({row:e})=>j(e.outputTokens??`0`)},_&&{name:`efficiency`,title:a.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},_&&{name:`cached`,title:a.cached,figures:!0,cell:({row:e})=>m(G(e))},v&&{name:`average`,title:a.average,figures:!0,cell:({row:e})=>p(e.averageCost)},v&&{name:`thousand`,title:a.perThousand,figures:!0,cell:({row:e})=>p(e.costPerThousandOutputTokens)},v&&{name:`failures`,title:a.failures,figures:!0,cell:({row:e})=>p(e.wastedOnFailures)}];return(0,L.jsxs)(`section`,{className:`panel`,children:[(0,L.jsx)(M,{caption:a.costsBy(f,r),columns:y.filter(e=>e!==!1),rows:u,keyOf:({value:e})=>e}),d&&(0,L.jsx)(`p`,{className:`quiet panel-note`,children:a.truncated})]})}function Ae({share:e}){return e===null?`–`:(0,L.jsxs)(`span`,{className:`share`,children:[(0,L.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,L.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,L.jsx)(`span`,{className:`share-figure`,children:P(e)})]})}function je({unpriced:e,filter:t,clear:n}){let r=g(I),{change:i}=m();return(0,L.jsxs)(v,{title:e===`0`?r.none:r.noAmounts,children:[(0,L.jsx)(`p`,{children:e===`0`?r.noneWhy:r.unpriced(j(e))}),(0,L.jsxs)(`p`,{className:`empty-actions`,children:[(0,L.jsx)(s,{onClick:()=>i({kind:`relative`,last:`30d`}),children:r.lastMonth}),!ae(t)&&(0,L.jsx)(s,{onClick:n,children:r.clearFilters})]})]})}c(`
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
`);var Me=c(`
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
`),Ne=c(`
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
`),Pe=c(`
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
`),Fe=c(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`),Y=`0`;function Ie(e,t){return e.filter(e=>e.key.currency===t)}function Le(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function Re(e,t,n){let r=new Map(Ie(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??Y]));return t.slice(0,-1).map(e=>r.get(e)??Y)}function ze(e,t,n,{name:r,values:i,currency:a}){let o=Le(e),s=Re(e,o,a),c=new Map(Ie(t,a).map(e=>[`${e.key.bucketStart}|${H(e.key,r)}`,e.amount?.amount??Y])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??Y)})),u=s.map((e,t)=>te(e,E(l.map(e=>e.amounts[t]??Y))));u.some(e=>D(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:Re(n,Le(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??Y)}}var Be=6,X=36e5,Ve=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Z={QUARTER_HOUR:X/4,HOUR:X,DAY:24*X,WEEK:168*X,MONTH:720*X},He=200;function Ue({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=Ve.filter(e=>e===`DAY`||n/Z[e]<=He&&n>=Z[e]),i=n<=5*X?`QUARTER_HOUR`:n<=50*X?`HOUR`:n<=100*Z.DAY?`DAY`:n<=730*Z.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function We(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function Ge(e,t){let{from:n,to:r}=p(t);return{...e,startedAt:{gte:n,lt:r}}}var Q=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function Ke(e){let t=u(),[n]=r(),{period:i}=m(),a=N(Fe,{filter:e},{wanted:t.mayFilter(`Call.tags`)&&t.mayAsk(`facets`)}),o=z.filter(e=>t.mayFilter(fe(e))),s=[...o,...(a.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=n.get(`by`)??``,l=s.includes(c)||/^tag\..{1,100}$/.test(c)&&t.mayFilter(`Call.tags`)?c:o[0]??`model`,{possible:d,usual:f}=Ue(i);return{fields:o,dimensions:s,dimension:l,bucket:d.find(e=>e===n.get(`bucket`))??f}}function qe(e,{fields:t,dimension:n},i){let a=u(),[o]=r(),s=n!==`model`&&i.tokens&&a.mayFilter(`Call.model`),c=N(Me,{filter:e,...V(n),...i,models:s},{wanted:a.view(`CostRow.amount`)!==`DENIED`&&t.length>0}),{groups:l,models:d}=c.data??{},f=l&&U(l.nodes,n)?l:null,p=(0,q.useMemo)(()=>he(f?.totals??[]),[f]),m=p.find(e=>e===o.get(`money`))??p[0]??null,h=(0,q.useMemo)(()=>f&&m!==null?W(f.nodes,n,m):[],[f,n,m]),g=(0,q.useMemo)(()=>d&&m!==null?W(d.nodes,`model`,m):[],[d,m]);return{answer:c,report:f,currencies:p,currency:m,groups:h,models:n===`model`?h:g}}function Je(e,{dimension:t,bucket:n},r,i){let a=_(),{period:o}=m(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Be).map(({value:e})=>e)),u=(0,q.useMemo)(()=>pe(e,t,JSON.parse(l)),[e,t,l]),d=(0,q.useMemo)(()=>Ge(e,o),[e,o]),f=s!==null,p=N(Ne,{filter:e,top:u,...V(t),bucket:n,timeZone:a},{wanted:f}),h=N(Pe,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:g,shown:v}=p.data??{},y=h.data?.costs;return{answer:p,timeline:(0,q.useMemo)(()=>g&&v&&s!==null&&U(v.nodes,t)?ze(g.nodes,v.nodes,y?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[g,v,y,t,l,s]),totalBefore:Q(y?.totals,s)}}function Ye(){let e=u(),{callFilter:t}=O(),n=We(e),r=Ke(t),i=qe(t,r,n),a=Je(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:Q(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function Xe({costs:e,change:t}){let n=g(I),r=w(),{period:i}=m(),{dimension:a,dimensions:o,bucket:s,currencies:c,currency:l}=e,u=o.includes(a)?o:[...o,a];return(0,L.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,L.jsxs)(`label`,{className:`costs-by`,children:[(0,L.jsx)(`span`,{children:n.by}),(0,L.jsx)(`select`,{"data-filter":!0,value:a,onChange:e=>t({by:e.target.value}),children:u.map(e=>(0,L.jsx)(`option`,{value:e,children:r.name(e)},e))})]}),(0,L.jsx)(f,{label:n.width,options:Ue(i).possible.map(e=>({value:e,text:n.bucket[e]})),value:s,change:e=>t({bucket:e})}),l!==null&&c.length>1&&(0,L.jsx)(f,{label:n.currency,options:c.map(e=>({value:e,text:e})),value:l,change:e=>t({money:e})})]})}function Ze({now:e,before:t,currency:n}){let r=g(I),i=(e,t)=>e==null?`–`:(0,L.jsx)(F,{amount:e,currency:n,...t!==void 0&&{digits:t}}),a=(n,r)=>{let i=n(e);return i==null?null:(0,L.jsx)(xe,{change:K(i,t&&n(t)),good:r})},o=G(e),s=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:E([e.inputTokens,e.outputTokens]),c=s(e);return(0,L.jsxs)(`dl`,{className:`figures-grid`,children:[(0,L.jsx)($,{name:r.cost,change:a(e=>e.amount?.amount,`less`),children:i(e.amount?.amount)}),(0,L.jsx)($,{name:r.calls,change:a(e=>e.calls,`neither`),children:j(e.calls)}),c!==null&&(0,L.jsx)($,{name:r.tokens,change:a(s,`neither`),title:j(c),children:oe(c)}),e.averageCost!==void 0&&(0,L.jsx)($,{name:r.average,change:a(e=>e.averageCost,`less`),children:i(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,L.jsx)($,{name:r.perThousand,change:a(e=>e.costPerThousandOutputTokens,`less`),children:i(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,L.jsx)($,{name:r.efficiency,children:e.tokenEfficiency.toFixed(3)}),o!==null&&(0,L.jsx)($,{name:r.cached,children:P(o)}),e.wastedOnFailures!==void 0&&(0,L.jsx)($,{name:r.failures,change:a(e=>e.wastedOnFailures,`less`),children:i(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,L.jsx)($,{name:r.estimated,children:P(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,L.jsxs)(`div`,{className:`figure`,children:[(0,L.jsx)(`dt`,{children:e}),(0,L.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}function Qe(){let e=u(),[,t]=r(),{filter:n,choose:i,bound:a,clear:o}=O(),s=Ye(),{groups:c}=s.answers;return e.view(`CostRow.amount`)===`DENIED`?(0,L.jsx)(ce,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,L.jsxs)(`div`,{className:`page-body costs`,children:[(0,L.jsx)(Xe,{costs:s,change:t}),(0,L.jsx)(ee,{filter:n,choose:i,bound:a}),c.problem?(0,L.jsx)(ce,{problem:c.problem,again:c.again}):(0,L.jsx)($e,{costs:s,filter:n,clear:o}),e.mayAsk(`budgets`)&&(0,L.jsx)(de,{})]})}function $e({costs:e,filter:t,clear:n}){let r=g(I),{totals:i,total:a,totalBefore:o,currency:s,models:c}=e,{groups:l,time:u}=e.answers,d=i?.find(e=>!e.amount)?.calls??`0`;return i===null?(0,L.jsx)(y,{lines:8}):s===null||a===null?(0,L.jsx)(je,{unpriced:d,filter:t,clear:n}):(0,L.jsxs)(`div`,{className:`costs-answer`,"aria-busy":l.waiting||u.waiting,children:[(0,L.jsx)(Ze,{now:a,before:o,currency:s}),d!==`0`&&(0,L.jsx)(`p`,{className:`quiet`,children:r.unpriced(j(d))}),u.problem?(0,L.jsx)(C,{problem:u.problem,again:u.again}):(0,L.jsx)(Oe,{costs:e,currency:s}),(0,L.jsx)(ke,{costs:e,currency:s}),(0,L.jsx)(ye,{models:c,currency:s})]})}export{Qe as default};