// What relay-compiler reads; the program uses what it makes of it.
graphql`
  query documentsPageQuery($filter: CallFilter, $count: Int!) {
    ...documentsCalls_query @arguments(filter: $filter, count: $count)
  }
`;

graphql`
  fragment documentsCalls_query on Query
  @argumentDefinitions(filter: { type: "CallFilter" }, count: { type: "Int", defaultValue: 5 }, cursor: { type: "String" })
  @refetchable(queryName: "documentsCallsPaginationQuery") {
    calls(filter: $filter, first: $count, after: $cursor) @connection(key: "documentsCalls_calls", filters: ["filter"]) {
      edges {
        cursor
        node {
          id
          ...documentsCall_call
        }
      }
    }
  }
`;

graphql`
  fragment documentsCall_call on Call @refetchable(queryName: "documentsCallRefetchQuery") {
    id
    model
    startedAt
    amount {
      amount
      currency
    }
  }
`;
