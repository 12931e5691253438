import { graphql } from "../../api/gql";

export const GroupsOfErrors = graphql(`
  query GroupsOfErrors(
    $filter: ErrorFilter!
    $orderBy: ErrorGroupOrder
    $first: Int
    $after: String
    $bucket: TimeBucket
    $timeZone: TimeZone
    $sample: Boolean!
  ) {
    errorGroups(filter: $filter, orderBy: $orderBy, first: $first, after: $after, bucket: $bucket, timeZone: $timeZone) {
      nodes {
        fingerprint
        type
        count
        firstSeen
        lastSeen
        models
        buckets {
          start
          end
          count
        }
        sampleMessage @include(if: $sample)
      }
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

/** Calls of a filter and how many of them failed, and those of the filter without what it says of errors. */
export const CallsInAll = graphql(`
  query CallsInAll($filter: CallFilter!, $every: CallFilter!, $apart: Boolean!) {
    costs(filter: $filter) {
      totals {
        calls
        errors
      }
    }
    every: costs(filter: $every) @include(if: $apart) {
      totals {
        calls
      }
    }
  }
`);

export const ErrorsOfGroup = graphql(`
  query ErrorsOfGroup($filter: ErrorFilter!, $message: Boolean!, $call: Boolean!) {
    errors(filter: $filter, first: 20) {
      nodes {
        id
        occurredAt
        code
        message @include(if: $message)
        disclosure
        redactions {
          rule
          count
        }
        call @include(if: $call) {
          id
          model
        }
      }
    }
  }
`);
