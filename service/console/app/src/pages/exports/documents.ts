import { graphql } from "../../api/gql";

export const Exports = graphql(`
  query Exports($after: String, $schedules: Boolean!) {
    exports(first: 25, after: $after) {
      nodes {
        id
        state
        kind
        format
        requestedAt
        rows
        totalRows
        bytes
        sha256
        expiresAt
        failure
        signedUrl
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    exportSchedules(first: 50) @include(if: $schedules) {
      nodes {
        id
        kind
        format
        every
        timeZone
        dueAt
        failure
      }
    }
  }
`);

/** A link to the file, anew. */
export const LinkOfExport = graphql(`
  query LinkOfExport($id: ID!) {
    export(id: $id) {
      signedUrl
    }
  }
`);

export const RowsOfExport = graphql(`
  query RowsOfExport($filter: CallFilter) {
    calls(filter: $filter, first: 1) {
      totalCount
    }
  }
`);

export const MakeExport = graphql(`
  mutation MakeExport($input: CreateExportInput!) {
    createExport(input: $input) {
      export {
        id
      }
    }
  }
`);

export const MakeSchedule = graphql(`
  mutation MakeSchedule($input: CreateExportScheduleInput!) {
    createExportSchedule(input: $input) {
      schedule {
        id
      }
    }
  }
`);

export const CancelOne = graphql(`
  mutation CancelOne($id: ID!) {
    cancelExport(id: $id) {
      export {
        id
      }
    }
  }
`);

export const DropSchedule = graphql(`
  mutation DropSchedule($id: ID!) {
    deleteExportSchedule(id: $id) {
      schedule {
        id
      }
    }
  }
`);
