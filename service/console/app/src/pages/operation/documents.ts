import { graphql } from "../../api/gql";

export const Refusals = graphql(`
  query Refusals($since: DateTime!, $until: DateTime) {
    ingestReport(since: $since, until: $until) {
      since
      refused
      truncated
      rows {
        hour
        source
        reason
        account
        refused
      }
    }
  }
`);

export const Health = graphql(`
  query Health($purges: Boolean!) {
    retention {
      missing
      detached
      nextPurgeAt
      classes {
        overdue
        keys {
          live
          lost
        }
      }
      lastPurge @include(if: $purges) {
        state
        finishedAt
        failure
      }
    }
  }
`);

export const Sums = graphql(`
  query Sums($filter: CallFilter!) {
    costs(filter: $filter) {
      coverage {
        to
        source
      }
    }
  }
`);

export const Deliveries = graphql(`
  query Deliveries($webhook: ID!, $after: String) {
    webhookDeliveries(webhook: $webhook, first: 20, after: $after) {
      nodes {
        id
        event
        state
        createdAt
        nextAttemptAt
        endedAt
        attempts {
          at
          durationMs
          status
          failure
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const Sources = graphql(`
  query Sources($after: String) {
    sources(first: 50, after: $after) {
      nodes {
        id
        name
        format
        address
        account
        everySeconds
        rows
        refused
        lastRowAt
        lagSeconds
        failures
        failure
        dueAt
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount
    }
  }
`);

export const Receivers = graphql(`
  query Receivers {
    webhooks(first: 50) {
      nodes {
        id
        name
        url
        events
        createdAt
        disabledAt
        failure
      }
    }
  }
`);
