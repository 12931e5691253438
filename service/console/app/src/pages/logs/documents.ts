import { graphql } from "../../api/gql";

/** What a call is in the list and by itself: each field has its flag. */
export const Columns = graphql(`
  fragment Columns on Call {
    id
    startedAt
    model
    status
    provider @include(if: $provider)
    account @include(if: $account)
    apiKey @include(if: $apiKey)
    user @include(if: $user)
    servedModel @include(if: $servedModel)
    operation @include(if: $operation)
    streamed @include(if: $streamed)
    inputTokens @include(if: $inputTokens)
    outputTokens @include(if: $outputTokens)
    totalTokens @include(if: $totalTokens)
    cacheReadTokens @include(if: $cacheReadTokens)
    cacheWriteTokens @include(if: $cacheWriteTokens)
    reasoningTokens @include(if: $reasoningTokens)
    tokenEfficiency @include(if: $tokenEfficiency)
    amount @include(if: $amount) {
      amount
      currency
      source
    }
    latencyMs @include(if: $latencyMs)
    timeToFirstTokenMs @include(if: $timeToFirstTokenMs)
    errorType @include(if: $errorType)
    errorCode @include(if: $errorCode)
    tags @include(if: $tags) {
      key
      value
    }
    traceId @include(if: $traceId)
    sessionId @include(if: $sessionId)
    attempt @include(if: $attempt)
    cacheHit @include(if: $cacheHit)
    deployment @include(if: $deployment)
    team @include(if: $team)
    sourceId @include(if: $sourceId)
    recordedAt @include(if: $recordedAt)
    providerRequestId @include(if: $providerRequestId)
  }
`);

/** A page of the list, with the columns that are shown. */
export const CallPage = graphql(`
  query CallPage(
    $filter: CallFilter
    $orderBy: [CallOrder!]
    $first: Int
    $after: String
    $provider: Boolean!
    $account: Boolean!
    $apiKey: Boolean!
    $user: Boolean!
    $servedModel: Boolean!
    $operation: Boolean!
    $streamed: Boolean!
    $inputTokens: Boolean!
    $outputTokens: Boolean!
    $totalTokens: Boolean!
    $cacheReadTokens: Boolean!
    $cacheWriteTokens: Boolean!
    $reasoningTokens: Boolean!
    $tokenEfficiency: Boolean!
    $amount: Boolean!
    $latencyMs: Boolean!
    $timeToFirstTokenMs: Boolean!
    $errorType: Boolean!
    $errorCode: Boolean!
    $tags: Boolean!
    $traceId: Boolean!
    $sessionId: Boolean!
    $attempt: Boolean!
    $cacheHit: Boolean!
    $deployment: Boolean!
    $team: Boolean!
    $sourceId: Boolean!
    $recordedAt: Boolean!
    $providerRequestId: Boolean!
  ) {
    calls(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
      nodes {
        ...Columns
      }
      pageInfo {
        endCursor
        hasNextPage
      }
    }
  }
`);

/** Calls and failures over time, and in all. */
export const Histogram = graphql(`
  query Histogram($filter: CallFilter!, $bucket: TimeBucket!, $timeZone: TimeZone, $tokens: Boolean!) {
    costs(filter: $filter, bucket: $bucket, timeZone: $timeZone, fillBuckets: true, first: 1000) {
      nodes {
        key {
          bucketStart
          bucketEnd
        }
        calls
        errors
      }
      totals {
        calls
        errors
        inputTokens @include(if: $tokens)
        outputTokens @include(if: $tokens)
        amount {
          amount
          currency
        }
      }
    }
  }
`);

export const Tail = graphql(`
  subscription Tail($filter: CallFilter) {
    callRecorded(filter: $filter) {
      id
    }
  }
`);
