import { graphql } from "../../../api/gql";
import type { OneCallQueryVariables } from "../../../api/gql/graphql";

/** One call, with all that the role may see of it: each field has its flag. */
export const OneCall = graphql(`
  query OneCall(
    $id: ID!
    $sourceId: Boolean!
    $source: Boolean!
    $recordedAt: Boolean!
    $account: Boolean!
    $apiKey: Boolean!
    $user: Boolean!
    $servedModel: Boolean!
    $provider: Boolean!
    $operation: Boolean!
    $streamed: Boolean!
    $inputTokens: Boolean!
    $outputTokens: Boolean!
    $totalTokens: Boolean!
    $cacheReadTokens: Boolean!
    $cacheWriteTokens: Boolean!
    $reasoningTokens: Boolean!
    $tokenEfficiency: Boolean!
    $amountUnknown: Boolean!
    $latencyMs: Boolean!
    $timeToFirstTokenMs: Boolean!
    $errorType: Boolean!
    $errorCode: Boolean!
    $traceId: Boolean!
    $parentSpanId: Boolean!
    $sessionId: Boolean!
    $attempt: Boolean!
    $cacheHit: Boolean!
    $deployment: Boolean!
    $team: Boolean!
    $teamId: Boolean!
    $organization: Boolean!
    $organizationId: Boolean!
    $normalizedError: Boolean!
    $providerRequestId: Boolean!
    $correctedAt: Boolean!
    $amount: Boolean!
    $amountParts: Boolean!
    $netAmount: Boolean!
    $corrects: Boolean!
    $corrections: Boolean!
    $tags: Boolean!
    $units: Boolean!
    $error: Boolean!
  ) {
    call(id: $id) {
      ...Columns
      source @include(if: $source)
      amountUnknown @include(if: $amountUnknown)
      parentSpanId @include(if: $parentSpanId)
      teamId @include(if: $teamId)
      organization @include(if: $organization)
      organizationId @include(if: $organizationId)
      normalizedError @include(if: $normalizedError)
      correctedAt @include(if: $correctedAt)
      amountParts @include(if: $amountParts) {
        meter
        quantity
        unitPrice
        amount
        priceList
      }
      netAmount @include(if: $netAmount) {
        amount
        currency
      }
      corrects @include(if: $corrects) {
        id
        amount {
          amount
          currency
        }
      }
      corrections @include(if: $corrections) {
        id
        correctedAt
        amount {
          amount
          currency
        }
      }
      units @include(if: $units) {
        name
        quantity
      }
      error @include(if: $error) {
        id
        type
        code
        message
        disclosure
        occurredAt
        fingerprint
        parameters {
          name
          value
          action
        }
        redactions {
          rule
          count
        }
      }
    }
  }
`);

type Flag = Exclude<keyof OneCallQueryVariables, "id">;

/** Fields of `Call` that have a flag: all variables but the id. */
export const FLAGGED = OneCall.definitions.flatMap((definition) =>
  ("variableDefinitions" in definition ? (definition.variableDefinitions ?? []) : []).map(({ variable }) => variable.name.value),
).filter((name): name is Flag => name !== "id");

/** The calls of the same trace, in the order in which they began. */
export const Attempts = graphql(`
  query Attempts(
    $filter: CallFilter!
    $sourceId: Boolean!
    $parentSpanId: Boolean!
    $provider: Boolean!
    $operation: Boolean!
    $attempt: Boolean!
    $cacheHit: Boolean!
    $errorType: Boolean!
    $latencyMs: Boolean!
    $timeToFirstTokenMs: Boolean!
  ) {
    calls(filter: $filter, orderBy: [{ field: STARTED_AT, direction: ASC }], first: 50) {
      nodes {
        id
        startedAt
        model
        status
        sourceId @include(if: $sourceId)
        parentSpanId @include(if: $parentSpanId)
        provider @include(if: $provider)
        operation @include(if: $operation)
        attempt @include(if: $attempt)
        cacheHit @include(if: $cacheHit)
        errorType @include(if: $errorType)
        latencyMs @include(if: $latencyMs)
        timeToFirstTokenMs @include(if: $timeToFirstTokenMs)
      }
      pageInfo {
        hasNextPage
      }
    }
  }
`);

export const Reveal = graphql(`
  mutation Reveal($errorId: ID!, $reason: String!) {
    revealError(input: { errorId: $errorId, reason: $reason }) {
      error {
        id
        message
        disclosure
        parameters {
          name
          value
          action
        }
      }
      ledgerIndex
    }
  }
`);

/** For how long calls and details of errors are kept. */
export const Windows = graphql(`
  query Windows {
    policy {
      windows {
        store
        class
        tier
        windowDays
      }
    }
  }
`);
