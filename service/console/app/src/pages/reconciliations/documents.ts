import { graphql } from "../../api/gql";

/** Comparisons with bills and gateways, newest first. */
export const Reconciliations = graphql(`
  query Reconciliations($after: String) {
    reconciliations(first: 20, after: $after) {
      nodes {
        id
        name
        requestedBy
        accounts
        firstDay
        lastDay
        timeZone
        madeAt
        byIds
        differing
        failure
        totals {
          currency
          theirs
          ours
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount
    }
  }
`);

/** One comparison, with a page of what differs. */
export const OneReconciliation = graphql(`
  query OneReconciliation($id: ID!, $kinds: [DifferenceKind!], $first: Int!, $after: String) {
    node(id: $id) {
      ... on Reconciliation {
        id
        name
        requestedBy
        accounts
        layout
        firstDay
        lastDay
        timeZone
        tolerance
        madeAt
        byIds
        rows
        calls
        differing
        failure
        unread {
          reason
          rows
        }
        totals {
          currency
          theirs
          ours
        }
        kinds {
          kind
          calls
        }
        differences(kinds: $kinds, first: $first, after: $after) {
          nodes {
            kind
            day
            model
            currency
            calls
            theirs
            ours
            difference
            callIds
          }
          pageInfo {
            hasNextPage
            endCursor
          }
          totalCount
        }
      }
    }
  }
`);
