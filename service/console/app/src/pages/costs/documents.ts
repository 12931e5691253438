import { graphql } from "../../api/gql";

export const Figures = graphql(`
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
`);

/** The part of a key that is grouped by. */
export const Grouped = graphql(`
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
`);

/** What rows are grouped by; $key and the tags are those of the page, and \`model\` is for the comparison. */
export const CostsByGroup = graphql(`
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
`);

/** The costs of each bucket of time in all, of the groups that are shown, and of the period before. */
export const CostsOverTime = graphql(`
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
`);

/** Amounts by one dimension or two: what a table of both has in its cells, or in its columns. */
export const CostGroups = graphql(`
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
`);

/** The period before: it may have been purged, and that is no reason to show nothing. */
export const CostsBefore = graphql(`
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
`);

/** How long calls took: asked for by itself, since the sums that know it are wider than those of money. */
export const LatencyByModel = graphql(`
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
`);

export const CostTags = graphql(`
  query CostTags($filter: CallFilter!) {
    facets(filter: $filter, first: 1) {
      tags {
        key
      }
    }
  }
`);
