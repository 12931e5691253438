const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./TimeBars-DN3Xdy86.js","./index-DZq6LWy7.js","./index-HRUQOO_n.css","./colour-tkw2VOy5.js","./TimeBars-UyGT0S5j.css"])))=>i.map(i=>d[i]);
import{A as e,B as t,C as n,F as r,G as i,I as a,P as o,R as s,U as c,_ as l,a as u,b as d,f,g as p,h as m,i as h,k as g,l as _,m as v,p as y,s as b,v as x,w as S,x as C,z as ee}from"./index-DZq6LWy7.js";import{C as te,T as w,_ as ne,a as re,c as T,d as E,f as D,g as O,i as k,l as ie,m as A,n as j,o as M,p as ae,r as N,s as P,t as oe,u as F,v as se,x as ce}from"./Moment-BeM8u3Bp.js";import{n as le}from"./colour-tkw2VOy5.js";var I=n();function L({problem:e,again:t}){let n=g(d);return e.code===`OUT_OF_RETENTION`||e.code===`FORBIDDEN`?(0,I.jsx)(v,{title:n.problem[e.code],children:(0,I.jsx)(`p`,{children:e.message})}):(0,I.jsx)(x,{problem:e,...t&&{again:t}})}var R=e({toolbar:`How costs are shown`,by:`By`,width:`Width of a bar`,currency:`Currency`,bucket:{QUARTER_HOUR:`15 min`,HOUR:`Hour`,DAY:`Day`,WEEK:`Week`,MONTH:`Month`},cost:`Cost`,calls:`Calls`,tokens:`Tokens`,input:`Tokens in`,output:`Tokens out`,average:`Cost per call`,perThousand:`Per 1,000 output tokens`,efficiency:`Output to input`,cached:`Input from cache`,failures:`Spent on failures`,failed:`Failed`,estimated:`Estimated`,share:`Share`,changedHint:`against the period before`,unpriced:e=>`${e} calls in this time have no amount: they are in no sum of money here.`,overTime:e=>`Cost over time, ${e}`,chart:e=>`${e}: bars, as in the table that follows. A press on a bar opens its calls.`,others:`All others`,before:`Period before`,change:`Change`,total:`Total`,time:`From`,showTable:`Show as a table`,hideTable:`Hide the table`,costsBy:(e,t)=>`Costs by ${e.toLowerCase()}, ${t}`,truncated:`Only the thousand with the most calls are shown. An export has all of them.`,equal:e=>`Models at equal tokens, ${e}`,equalWhy:`What each model's calls came to per token, applied to the same number of tokens. Output costs more than input, so look at the share of output too.`,model:`Model`,perMillion:`Per million tokens`,forAll:`All tokens of this time`,outputShare:`Share of output`,budgets:`Budgets of today (UTC)`,budgetOf:`Of`,budget:`Budget`,spent:`Spent`,left:`Left`,used:`Used`,over:`Overspent:`,none:`No calls in this time.`,noneWhy:`Choose a longer time, or take a filter back.`,noAmounts:`No call of this time has an amount.`,lastMonth:`Last 30 days`,clearFilters:`Clear the filters`},{toolbar:`费用显示方式`,by:`分组`,width:`柱宽`,currency:`币种`,bucket:{QUARTER_HOUR:`15 分钟`,HOUR:`小时`,DAY:`天`,WEEK:`周`,MONTH:`月`},cost:`费用`,calls:`调用数`,tokens:`令牌数`,input:`输入令牌`,output:`输出令牌`,average:`每次调用费用`,perThousand:`每千个输出令牌`,efficiency:`输出 / 输入`,cached:`输入命中缓存`,failures:`失败调用花费`,failed:`失败率`,estimated:`估算占比`,share:`占比`,changedHint:`与上一周期相比`,unpriced:e=>`此时间段内有 ${e} 次调用没有金额,未计入任何金额合计。`,overTime:e=>`费用趋势(${e})`,chart:e=>`${e}:柱状图,数据见下方表格。点击柱形可查看对应调用。`,others:`其他合计`,before:`上一周期`,change:`变化`,total:`合计`,time:`起始时间`,showTable:`以表格显示`,hideTable:`隐藏表格`,costsBy:(e,t)=>`按${e}统计费用(${t})`,truncated:`仅显示调用最多的一千项,导出可获得全部。`,equal:e=>`同等令牌下的模型对比(${e})`,equalWhy:`按各模型实际的每令牌费用,换算到相同的令牌数。输出比输入更贵,请同时参考输出占比。`,model:`模型`,perMillion:`每百万令牌`,forAll:`本时间段全部令牌`,outputShare:`输出占比`,budgets:`今日预算(UTC)`,budgetOf:`对象`,budget:`预算`,spent:`已花费`,left:`剩余`,used:`已用`,over:`已超支:`,none:`此时间段内没有调用。`,noneWhy:`请选择更长的时间,或移除筛选条件。`,noAmounts:`此时间段内的调用都没有金额。`,lastMonth:`最近 30 天`,clearFilters:`清除筛选`}),ue=S(`
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
`);function de(){let e=g(R),{data:t,problem:n,again:r}=D(ue,{});if(n)return(0,I.jsx)(x,{problem:n,again:r});let i=t?.budgets??[];return i.length===0?null:(0,I.jsx)(`section`,{className:`panel`,children:(0,I.jsx)(j,{caption:e.budgets,columns:[{name:`of`,title:e.budgetOf,cell:({account:e,apiKey:t,tag:n})=>[e,t,n&&`${n.key}=${n.value}`].filter(Boolean).join(` · `)},{name:`amount`,title:e.budget,figures:!0,cell:({amount:e,currency:t})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`spent`,title:e.spent,figures:!0,cell:({spent:e,currency:t})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`left`,title:e.left,figures:!0,cell:({left:e,currency:t})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`share`,title:e.used,figures:!0,cell:({spent:t,amount:n})=>{let r=F(t,n),i=k(t,n)>0;return(0,I.jsxs)(`span`,{className:i?`badge badge-bad`:`badge`,children:[i?e.over:``,` `,r===null?`–`:O(r)]})}}],rows:i,keyOf:({id:e})=>e})})}var z={model:`MODEL`,provider:`PROVIDER`,account:`ACCOUNT`,apiKey:`API_KEY`,operation:`OPERATION`,servedModel:`SERVED_MODEL`,status:`STATUS`,errorType:`ERROR_TYPE`,user:`USER`},B=Object.keys(z),V=/^tag\.(.{1,100})$/;function fe(e){return V.test(e)?`Call.tags`:ce.find(t=>t.name===e)?.governs??``}function H(e){let t=V.exec(e)?.[1];return{groupBy:t===void 0?[z[e]]:[],groupByTags:t===void 0?[]:[t],...Object.fromEntries(B.map(t=>[t,t===e])),tags:t!==void 0}}function U(e,t){if(V.test(t))return e.tags?.[0]?.value??``;let n=e[t];return typeof n==`string`?n:``}function W(e,t){let n=V.exec(t)?.[1];return e.every(({key:e})=>n===void 0?t in e:e.tags?.[0]?.key===n)}function pe(e,t,n){let r=V.exec(t)?.[1];return r===void 0?t===`user`?{and:[e,{user:{pseudonym:[...n]}}]}:{and:[e,{[t]:{in:n}}]}:{and:[e,{tags:[{key:r,value:{in:[...n]}}]}]}}function me(e,t){return t!==``||!V.test(e)&&e!==`status`}function he(e){return e.toSorted((e,t)=>Number(t.calls)-Number(e.calls)).flatMap(e=>e.amount?.currency??[])}function G(e,t,n){let r=e.flatMap(e=>e.amount?.currency===n?[{row:e,amount:e.amount.amount}]:[]),i=E(r.map(({amount:e})=>e));return r.map(({row:e,amount:n})=>({value:U(e.key,t),amount:n,share:F(n,i),row:e})).toSorted((e,t)=>k(t.amount,e.amount))}function K(e){return e.inputTokens===void 0||e.cacheReadTokens===void 0?null:F(e.cacheReadTokens,e.inputTokens)}function ge(e,t){if(t==null)return null;let n=F(e,t);return n===null?null:n-1}var _e=`1000000`;function ve(e){let t=E(e.map(({row:e})=>ye(e)));return e.flatMap(({value:e,amount:n,row:r})=>{let i=ye(r),a=T(n,i,_e),o=T(n,i,t);return a===null||o===null?[]:[{model:e,tokens:i,outputShare:F(r.outputTokens??`0`,i),perMillion:a,forAll:o}]}).toSorted((e,t)=>k(e.perMillion,t.perMillion))}function ye(e){return E([e.inputTokens??`0`,e.outputTokens??`0`])}function be({models:e,currency:t}){let n=g(R),r=ve(e),i=Math.max(...r.map(e=>P(e.perMillion)),0);return r.length<2?null:(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(j,{caption:n.equal(t),columns:[{name:`model`,title:n.model,cell:({model:e})=>e},{name:`million`,title:n.perMillion,figures:!0,cell:({perMillion:e})=>(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${i>0?P(e)/i*100:0}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:(0,I.jsx)(N,{amount:e,currency:t})})]})},{name:`all`,title:n.forAll,figures:!0,cell:({forAll:e})=>(0,I.jsx)(N,{amount:e,currency:t})},{name:`tokens`,title:n.tokens,figures:!0,cell:({tokens:e})=>A(e)},{name:`output`,title:n.outputShare,figures:!0,cell:({outputShare:e})=>e===null?`–`:O(e)}],rows:r,keyOf:({model:e})=>e}),(0,I.jsx)(`p`,{className:`quiet panel-note`,children:n.equalWhy})]})}var q=i(c(),1),xe=9.99;function Se({change:e,good:t}){let n=g(R);if(e===null)return null;let r=e>0;return(0,I.jsxs)(`span`,{className:`changed ${t===`neither`||Math.abs(e)<.005?``:t===`more`===r?`changed-good`:`changed-bad`}`,title:n.changedHint,children:[r?`+`:e<0?`−`:`±`,Math.abs(e)>xe?`>${O(xe)}`:O(Math.abs(e)),(0,I.jsxs)(`span`,{className:`unseen`,children:[` `,n.changedHint]})]})}var Ce=864e5;function we({timeline:e,named:n,currency:i,caption:o,shown:c}){let l=g(R),d=t(),{edges:f,lines:p,totals:m,before:h}=e,_=Date.parse(f[1]??``)-Date.parse(f[0]??``)<Ce/2,v=e=>e===void 0?`–`:(0,I.jsx)(N,{amount:e,currency:i}),y=[{name:`time`,title:l.time,cell:e=>(0,I.jsx)(s,{href:a(`logs`,r(d,{...J,currency:i,range:null,from:Te(f[e]),to:Te(f[e+1])})),tabIndex:c?void 0:-1,children:(0,I.jsx)(oe,{at:f[e]??``,text:(e,t)=>_?`${u(e,t)} ${b(e,t)}`:u(e,t)})})},...p.map((e,t)=>({name:String(t),title:n(e),figures:!0,cell:t=>v(e.amounts[t])})),{name:`total`,title:l.total,figures:!0,cell:e=>(0,I.jsx)(`strong`,{children:v(m[e])})}];return h!==null&&(y.push({name:`before`,title:l.before,figures:!0,cell:e=>v(h[e])}),y.push({name:`change`,title:l.change,figures:!0,cell:e=>(0,I.jsx)(Se,{change:ge(m[e]??`0`,h[e]),good:`less`})})),(0,I.jsx)(`div`,{className:c?`panel-table`:`unseen`,children:(0,I.jsx)(j,{caption:o,quietCaption:!0,columns:y,rows:m.map((e,t)=>t),keyOf:e=>f[e]??``})})}function Te(e){return e===void 0?null:new Date(e).toISOString()}var Ee=(0,q.lazy)(()=>h(()=>import(`./TimeBars-DN3Xdy86.js`),__vite__mapDeps([0,1,2,3,4]),import.meta.url)),De=240,Oe=`--series-7`,J={by:null,bucket:null,money:null};function ke({costs:e,currency:n}){let i=g(R),o=w(),s=_(),c=t(),[,l]=ee(),[u,d]=(0,q.useState)(!1),{timeline:f,dimension:p}=e,m=(0,q.useMemo)(()=>e=>e.value===null?i.others:o.value(p,e.value),[i,o,p]),h=(0,q.useMemo)(()=>(f?.lines??[]).map((e,t)=>({label:m(e),colour:e.value===null?Oe:le(t),values:e.amounts.map(P),text:t=>`${M(e.amounts[t]??`0`)} ${n}`})),[f,m,n]),v=f?.before,b=(0,q.useMemo)(()=>v?{label:i.before,colour:`--text-quiet`,values:v.map(P),text:e=>`${M(v[e]??`0`)} ${n}`}:void 0,[v,i,n]),x=i.overTime(n),S=(e,t)=>l(a(`logs`,r(c,{...J,currency:n,range:null,from:new Date(e).toISOString(),to:new Date(t).toISOString()})));return f===null?(0,I.jsx)(y,{lines:6}):(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsxs)(`header`,{className:`panel-head`,children:[(0,I.jsx)(`h2`,{children:x}),(0,I.jsxs)(`ul`,{className:`legend`,children:[h.map(e=>(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{style:{background:`var(${e.colour})`}}),e.label]},e.label)),b&&(0,I.jsxs)(`li`,{children:[(0,I.jsx)(`i`,{className:`legend-line`}),b.label]})]}),(0,I.jsx)(C,{"aria-expanded":u,onClick:()=>d(!u),children:u?i.hideTable:i.showTable})]}),(0,I.jsx)(q.Suspense,{fallback:(0,I.jsx)(`div`,{style:{height:De}}),children:(0,I.jsx)(Ee,{label:i.chart(x),edges:f.edges,series:h,...b&&{line:b},zone:s,height:De,axisText:e=>e===0?`0`:ie(String(e),0).replace(/\.$/,``),pressed:S})}),(0,I.jsx)(we,{timeline:f,named:m,currency:n,caption:x,shown:u})]})}function Ae({costs:e,currency:n}){let i=g(R),o=w(),c=t(),{dimension:l,groups:u,truncated:d}=e,f=o.name(l),p=e=>e==null?`–`:(0,I.jsx)(N,{amount:e,currency:n}),m=e=>e==null?`–`:O(e),h=e=>a(`logs`,r(c,{...J,currency:n,[l]:e})),_=u[0]?.row.inputTokens!==void 0,v=u[0]?.row.averageCost!==void 0,y=[{name:`value`,title:f,cell:({value:e})=>me(l,e)?(0,I.jsx)(s,{href:h(e),children:o.value(l,e)}):o.value(l,e)},{name:`cost`,title:i.cost,figures:!0,cell:e=>p(e.amount)},{name:`share`,title:i.share,figures:!0,cell:({share:e})=>(0,I.jsx)(je,{share:e})},{name:`calls`,title:i.calls,figures:!0,cell:({row:e})=>A(e.calls)},{name:`failed`,title:i.failed,figures:!0,cell:({row:e})=>m(F(e.errors,e.calls))},_&&{name:`input`,title:i.input,figures:!0,cell:({row:e})=>A(e.inputTokens??`0`)},_&&{name:`output`,title:i.output,figures:!0,cell:({row:e})=>A(e.outputTokens??`0`)},_&&{name:`efficiency`,title:i.efficiency,figures:!0,cell:({row:e})=>e.tokenEfficiency?.toFixed(3)??`–`},_&&{name:`cached`,title:i.cached,figures:!0,cell:({row:e})=>m(K(e))},v&&{name:`average`,title:i.average,figures:!0,cell:({row:e})=>p(e.averageCost)},v&&{name:`thousand`,title:i.perThousand,figures:!0,cell:({row:e})=>p(e.costPerThousandOutputTokens)},v&&{name:`failures`,title:i.failures,figures:!0,cell:({row:e})=>p(e.wastedOnFailures)}];return(0,I.jsxs)(`section`,{className:`panel`,children:[(0,I.jsx)(j,{caption:i.costsBy(f,n),columns:y.filter(e=>e!==!1),rows:u,keyOf:({value:e})=>e}),d&&(0,I.jsx)(`p`,{className:`quiet panel-note`,children:i.truncated})]})}function je({share:e}){return e===null?`–`:(0,I.jsxs)(`span`,{className:`share`,children:[(0,I.jsx)(`span`,{className:`share-bar`,"aria-hidden":`true`,children:(0,I.jsx)(`span`,{style:{width:`${Math.max(0,Math.min(1,e))*100}%`}})}),(0,I.jsx)(`span`,{className:`share-figure`,children:O(e)})]})}function Me({unpriced:e,filter:t,clear:n}){let r=g(R),{change:i}=m();return(0,I.jsxs)(v,{title:e===`0`?r.none:r.noAmounts,children:[(0,I.jsx)(`p`,{children:e===`0`?r.noneWhy:r.unpriced(A(e))}),(0,I.jsxs)(`p`,{className:`empty-actions`,children:[(0,I.jsx)(C,{onClick:()=>i({kind:`relative`,last:`30d`}),children:r.lastMonth}),!se(t)&&(0,I.jsx)(C,{onClick:n,children:r.clearFilters})]})]})}S(`
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
`);var Ne=S(`
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
`),Pe=S(`
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
`),Fe=S(`
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
`),Ie=S(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`),Y=`0`;function Le(e,t){return e.filter(e=>e.key.currency===t)}function Re(e){let t=new Map(e.flatMap(({key:e})=>e.bucketStart&&e.bucketEnd?[[e.bucketStart,e.bucketEnd]]:[])),n=[...t.keys()].toSorted((e,t)=>Date.parse(e)-Date.parse(t)),r=n.at(-1);return r===void 0?[]:[...n,t.get(r)??r]}function ze(e,t,n){let r=new Map(Le(e,n).map(e=>[e.key.bucketStart,e.amount?.amount??Y]));return t.slice(0,-1).map(e=>r.get(e)??Y)}function Be(e,t,n,{name:r,values:i,currency:a}){let o=Re(e),s=ze(e,o,a),c=new Map(Le(t,a).map(e=>[`${e.key.bucketStart}|${U(e.key,r)}`,e.amount?.amount??Y])),l=i.map(e=>({value:e,amounts:o.slice(0,-1).map(t=>c.get(`${t}|${e}`)??Y)})),u=s.map((e,t)=>re(e,E(l.map(e=>e.amounts[t]??Y))));u.some(e=>P(e)!==0)&&l.push({value:null,amounts:u});let d=n===null?null:ze(n,Re(n),a);return{edges:o,lines:l,totals:s,before:d&&s.map((e,t)=>d[t]??Y)}}var Ve=6,X=36e5,He=[`QUARTER_HOUR`,`HOUR`,`DAY`,`WEEK`,`MONTH`],Z={QUARTER_HOUR:X/4,HOUR:X,DAY:24*X,WEEK:168*X,MONTH:720*X},Ue=200;function We({from:e,to:t}){let n=Date.parse(t)-Date.parse(e),r=He.filter(e=>e===`DAY`||n/Z[e]<=Ue&&n>=Z[e]),i=n<=5*X?`QUARTER_HOUR`:n<=50*X?`HOUR`:n<=100*Z.DAY?`DAY`:n<=730*Z.DAY?`WEEK`:`MONTH`;return{possible:r,usual:r.includes(i)?i:`DAY`}}function Ge(e){let t=(...t)=>t.every(t=>e.view(`CostRow.${t}`)!==`DENIED`&&e.view(`CostFigures.${t}`)!==`DENIED`);return{tokens:t(`inputTokens`,`outputTokens`,`cacheReadTokens`,`tokenEfficiency`),derived:t(`averageCost`,`costPerThousandOutputTokens`,`wastedOnFailures`,`estimatedShare`,`callsWithoutAmount`)}}function Ke(e,t){let{from:n,to:r}=p(t);return{...e,startedAt:{gte:n,lt:r}}}var Q=(e,t)=>e?.find(e=>(e.amount?.currency??null)===t)??null;function qe(e){let t=l(),[n]=o(),{period:r}=m(),i=D(Ie,{filter:e},{wanted:t.mayFilter(`Call.tags`)&&t.mayAsk(`facets`)}),a=B.filter(e=>t.mayFilter(fe(e))),s=[...a,...(i.data?.facets?.tags??[]).map(({key:e})=>`tag.${e}`)],c=n.get(`by`)??``,u=s.includes(c)||/^tag\..{1,100}$/.test(c)&&t.mayFilter(`Call.tags`)?c:a[0]??`model`,{possible:d,usual:f}=We(r);return{fields:a,dimensions:s,dimension:u,bucket:d.find(e=>e===n.get(`bucket`))??f}}function Je(e,{fields:t,dimension:n},r){let i=l(),[a]=o(),s=n!==`model`&&r.tokens&&i.mayFilter(`Call.model`),c=D(Ne,{filter:e,...H(n),...r,models:s},{wanted:i.view(`CostRow.amount`)!==`DENIED`&&t.length>0}),{groups:u,models:d}=c.data??{},f=u&&W(u.nodes,n)?u:null,p=(0,q.useMemo)(()=>he(f?.totals??[]),[f]),m=p.find(e=>e===a.get(`money`))??p[0]??null,h=(0,q.useMemo)(()=>f&&m!==null?G(f.nodes,n,m):[],[f,n,m]),g=(0,q.useMemo)(()=>d&&m!==null?G(d.nodes,`model`,m):[],[d,m]);return{answer:c,report:f,currencies:p,currency:m,groups:h,models:n===`model`?h:g}}function Ye(e,{dimension:t,bucket:n},r,i){let a=_(),{period:o}=m(),{currency:s,groups:c}=r,l=JSON.stringify(c.filter(({value:e})=>e!==``).slice(0,Ve).map(({value:e})=>e)),u=(0,q.useMemo)(()=>pe(e,t,JSON.parse(l)),[e,t,l]),d=(0,q.useMemo)(()=>Ke(e,o),[e,o]),f=s!==null,p=D(Pe,{filter:e,top:u,...H(t),bucket:n,timeZone:a},{wanted:f}),h=D(Fe,{filter:d,bucket:n,timeZone:a,...i},{wanted:f}),{all:g,shown:v}=p.data??{},y=h.data?.costs;return{answer:p,timeline:(0,q.useMemo)(()=>g&&v&&s!==null&&W(v.nodes,t)?Be(g.nodes,v.nodes,y?.nodes??null,{name:t,values:JSON.parse(l),currency:s}):null,[g,v,y,t,l,s]),totalBefore:Q(y?.totals,s)}}function Xe(){let e=l(),{callFilter:t}=ne(),n=Ge(e),r=qe(t),i=Je(t,r,n),a=Ye(t,r,i,n),{report:o,currency:s}=i;return{dimensions:r.dimensions,dimension:r.dimension,bucket:r.bucket,currencies:i.currencies,currency:s,total:Q(o?.totals,s),totals:o?.totals??null,totalBefore:a.totalBefore,groups:i.groups,models:i.models,truncated:o?.pageInfo.hasNextPage??!1,timeline:a.timeline,answers:{groups:i.answer,time:a.answer}}}function Ze({costs:e,change:t}){let n=g(R),r=w(),{period:i}=m(),{dimension:a,dimensions:o,bucket:s,currencies:c,currency:l}=e,u=o.includes(a)?o:[...o,a];return(0,I.jsxs)(`div`,{className:`costs-toolbar`,role:`group`,"aria-label":n.toolbar,children:[(0,I.jsxs)(`label`,{className:`costs-by`,children:[(0,I.jsx)(`span`,{children:n.by}),(0,I.jsx)(`select`,{"data-filter":!0,value:a,onChange:e=>t({by:e.target.value}),children:u.map(e=>(0,I.jsx)(`option`,{value:e,children:r.name(e)},e))})]}),(0,I.jsx)(f,{label:n.width,options:We(i).possible.map(e=>({value:e,text:n.bucket[e]})),value:s,change:e=>t({bucket:e})}),l!==null&&c.length>1&&(0,I.jsx)(f,{label:n.currency,options:c.map(e=>({value:e,text:e})),value:l,change:e=>t({money:e})})]})}function Qe({now:e,before:t,currency:n}){let r=g(R),i=(e,t)=>e==null?`–`:(0,I.jsx)(N,{amount:e,currency:n,...t!==void 0&&{digits:t}}),a=(n,r)=>{let i=n(e);return i==null?null:(0,I.jsx)(Se,{change:ge(i,t&&n(t)),good:r})},o=K(e),s=e=>e.inputTokens===void 0||e.outputTokens===void 0?null:E([e.inputTokens,e.outputTokens]),c=s(e);return(0,I.jsxs)(`dl`,{className:`figures-grid`,children:[(0,I.jsx)($,{name:r.cost,change:a(e=>e.amount?.amount,`less`),children:i(e.amount?.amount)}),(0,I.jsx)($,{name:r.calls,change:a(e=>e.calls,`neither`),children:A(e.calls)}),c!==null&&(0,I.jsx)($,{name:r.tokens,change:a(s,`neither`),title:A(c),children:ae(c)}),e.averageCost!==void 0&&(0,I.jsx)($,{name:r.average,change:a(e=>e.averageCost,`less`),children:i(e.averageCost)}),e.costPerThousandOutputTokens!==void 0&&(0,I.jsx)($,{name:r.perThousand,change:a(e=>e.costPerThousandOutputTokens,`less`),children:i(e.costPerThousandOutputTokens)}),e.tokenEfficiency!=null&&(0,I.jsx)($,{name:r.efficiency,children:e.tokenEfficiency.toFixed(3)}),o!==null&&(0,I.jsx)($,{name:r.cached,children:O(o)}),e.wastedOnFailures!==void 0&&(0,I.jsx)($,{name:r.failures,change:a(e=>e.wastedOnFailures,`less`),children:i(e.wastedOnFailures)}),e.estimatedShare!=null&&e.estimatedShare>0&&(0,I.jsx)($,{name:r.estimated,children:O(e.estimatedShare)})]})}function $({name:e,title:t,change:n,children:r}){return(0,I.jsxs)(`div`,{className:`figure`,children:[(0,I.jsx)(`dt`,{children:e}),(0,I.jsxs)(`dd`,{title:t,children:[r,` `,n]})]})}function $e(){let e=l(),[,t]=o(),{filter:n,choose:r,bound:i,clear:a}=ne(),s=Xe(),{groups:c}=s.answers;return e.view(`CostRow.amount`)===`DENIED`?(0,I.jsx)(L,{problem:{code:`FORBIDDEN`,message:``,requestId:null}}):(0,I.jsxs)(`div`,{className:`page-body costs`,children:[(0,I.jsx)(Ze,{costs:s,change:t}),(0,I.jsx)(te,{filter:n,choose:r,bound:i}),c.problem?(0,I.jsx)(L,{problem:c.problem,again:c.again}):(0,I.jsx)(et,{costs:s,filter:n,clear:a}),e.mayAsk(`budgets`)&&(0,I.jsx)(de,{})]})}function et({costs:e,filter:t,clear:n}){let r=g(R),{totals:i,total:a,totalBefore:o,currency:s,models:c}=e,{groups:l,time:u}=e.answers,d=i?.find(e=>!e.amount)?.calls??`0`;return i===null?(0,I.jsx)(y,{lines:8}):s===null||a===null?(0,I.jsx)(Me,{unpriced:d,filter:t,clear:n}):(0,I.jsxs)(`div`,{className:`costs-answer`,"aria-busy":l.waiting||u.waiting,children:[(0,I.jsx)(Qe,{now:a,before:o,currency:s}),d!==`0`&&(0,I.jsx)(`p`,{className:`quiet`,children:r.unpriced(A(d))}),u.problem?(0,I.jsx)(x,{problem:u.problem,again:u.again}):(0,I.jsx)(ke,{costs:e,currency:s}),(0,I.jsx)(Ae,{costs:e,currency:s}),(0,I.jsx)(be,{models:c,currency:s})]})}export{$e as default};