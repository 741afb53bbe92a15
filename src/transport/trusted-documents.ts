import type { GraphQLParams, Plugin } from 'graphql-yoga';
import type { DocumentParams, Documents } from '../graphql/trusted-documents.ts';

/** Puts the document that a request over HTTP or SSE names in the place of its name, and lets no other pass. */
export function useTrustedDocuments(documents: Documents): Plugin {
  return {
    onRequestParse({ request, url }) {
      const documentId = request.method === 'GET' ? url.searchParams.get('documentId') : null;
      if (documentId === null) return undefined;
      return {
        onRequestParseDone({ requestParserResult, setRequestParserResult }) {
          // Yoga reads no such parameter from a URL.
          const named: GraphQLParams & DocumentParams = {
            ...(requestParserResult as GraphQLParams),
            documentId,
          };
          setRequestParserResult(named);
        },
      };
    },

    onParams({ params, setParams }) {
      const query = documents.resolve(params as DocumentParams);
      if (query === undefined) return;
      const { documentId: _, ...others } = params as GraphQLParams & DocumentParams;
      setParams({ ...others, query });
    },
  };
}
