import { graphql } from "../../api/gql";

export const Kept = graphql(`
  query Kept {
    retention {
      asOf
      nextPurgeAt
      keyringBackupDays
      missing
      detached
      policyDigest
      classes {
        name
        tier
        store
        windowDays
        keptAtMostDays
        unreadableEverywhereDays
        oldest
        oldestServed
        overdue
        hidden
        held
        nextPurgeAt
        keys {
          live
          destroyed
          lost
        }
      }
      lastPurge {
        state
        finishedAt
      }
    }
  }
`);

export const Destroyed = graphql(`
  query Destroyed($purges: Boolean!, $holds: Boolean!, $erasures: Boolean!, $purgesAfter: String, $holdsAfter: String, $erasuresAfter: String) {
    purgeRuns(first: 20, after: $purgesAfter) @include(if: $purges) {
      nodes {
        id
        state
        plannedAt
        finishedAt
        requestedBy
        partitions {
          name
          rows
        }
        keysDestroyed
        rowsHeldBack
        ledgerIndex
        failure
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    holds(first: 50, after: $holdsAfter) @include(if: $holds) {
      nodes {
        id
        name
        owner
        reason
        scope {
          account
          model
          from
          to
        }
        placedAt
        expiresAt
        liftedAt
        rows
        ledgerIndex
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    erasures(first: 50, after: $erasuresAfter) @include(if: $erasures) {
      nodes {
        id
        kind
        account
        requestedAt
        state
        finishedAt
        rows
        blockedByHolds
        unreadableInBackupsAt
        ledgerIndex
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const Entries = graphql(`
  query Entries($filter: LedgerFilter, $first: Int, $after: String) {
    ledger(filter: $filter, first: $first, after: $after) {
      nodes {
        index
        recordedAt
        kind
        actor
        leaf
        note
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const NewestCheckpoint = graphql(`
  query NewestCheckpoint {
    checkpoint {
      size
      note
      issuedAt
      publicKey
    }
  }
`);

export const ProofOfEntry = graphql(`
  query ProofOfEntry($index: BigInt!, $size: BigInt!) {
    inclusionProof(index: $index, size: $size) {
      hashes
    }
  }
`);

export const ProofOfHistory = graphql(`
  query ProofOfHistory($from: BigInt!, $to: BigInt!) {
    consistencyProof(from: $from, to: $to) {
      hashes
    }
  }
`);

export const PolicyInForce = graphql(`
  query PolicyInForce {
    policy {
      name
      version
      digest
      appliedAt
      appliedBy
      approvedBy
      document
      fields {
        field
        class
        action
        store
        views {
          role
          view
        }
      }
    }
  }
`);

export const MakeEvidence = graphql(`
  mutation MakeEvidence($input: CreateEvidenceInput!) {
    createEvidence(input: $input) {
      export {
        id
      }
      checkpoint {
        size
        note
      }
    }
  }
`);

export const EvidenceFile = graphql(`
  query EvidenceFile($id: ID!) {
    export(id: $id) {
      id
      state
      bytes
      rows
      sha256
      failure
      signedUrl
    }
  }
`);

export const Statements = graphql(`
  query Statements($after: String) {
    attestations(first: 10, after: $after) {
      nodes {
        id
        state
        requestedAt
        requestedBy
        days
        checks
        checksDone
        unmet
        digest
        ledgerIndex
        checkpointSize
        signedUrl
        failure
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

/** A link to the file, anew. */
export const LinkOfStatement = graphql(`
  query LinkOfStatement($id: ID!) {
    attestation(id: $id) {
      signedUrl
    }
  }
`);

export const MakeStatement = graphql(`
  mutation MakeStatement {
    requestAttestation(input: {}) {
      attestation {
        id
      }
    }
  }
`);
