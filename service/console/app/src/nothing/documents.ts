import { graphql } from "../api/gql";

/** Why no call is found: whether there are any at all, whatever the time, and how far back they are kept. */
export const WhyNone = graphql(`
  query WhyNone($filter: CallFilter, $facets: Boolean!, $windows: Boolean!) {
    calls(first: 1) {
      nodes {
        id
      }
    }
    facets(filter: $filter, first: 1) @include(if: $facets) {
      statuses {
        value
      }
    }
    policy @include(if: $windows) {
      windows {
        store
        windowDays
      }
    }
  }
`);
