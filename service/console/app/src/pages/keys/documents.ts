import { graphql } from "../../api/gql";

export const ApiKeys = graphql(`
  query ApiKeys($after: String) {
    apiKeys(first: 100, after: $after) {
      nodes {
        id
        keyId
        name
        role
        accounts
        state
        createdAt
        expiresAt
        lastUsedAt
        revokedAt
      }
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const MakeKey = graphql(`
  mutation MakeKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      key
    }
  }
`);

export const ReplaceKey = graphql(`
  mutation ReplaceKey($input: RotateApiKeyInput!) {
    rotateApiKey(input: $input) {
      key
      replaced {
        expiresAt
      }
    }
  }
`);

export const EndKey = graphql(`
  mutation EndKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      apiKey {
        id
      }
    }
  }
`);
