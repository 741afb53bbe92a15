/** Where the page subscribes: over a WebSocket on this path and port, or over SSE when there is none. */
export interface GraphiqlWebSocket {
  readonly path: string;
  /** Absent: that of the page. */
  readonly port: number | undefined;
}

const start = 'YogaGraphiQL.renderYogaGraphiQL(';

/** The page with GraphiQL, all in one document: it loads nothing from elsewhere. */
export async function graphiqlPage(webSocket: GraphiqlWebSocket | undefined): Promise<string> {
  // Nine megabytes that only a browser asks for.
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const page = renderGraphiQL({ title: 'Satwire', defaultQuery: '' });
  const options = webSocket ? overWebSocket(webSocket) : "{ subscriptionsProtocol: 'SSE' }";
  return page.replace(start, () => `((root, options) => ${start}root, { ...options, ...${options} }))(`);
}

/** Its options are functions, which GraphiQL's own settings, being JSON, cannot be: it sends headers too late for a socket. */
function overWebSocket({ path, port }: GraphiqlWebSocket): string {
  return `{
    subscriptionsProtocol: 'WS',
    subscriptionsEndpoint: (() => {
      const endpoint = new URL(${JSON.stringify(path)}, location.href);
      endpoint.port = ${JSON.stringify(port ?? '')} || location.port;
      return endpoint.href;
    })(),
    connectionParams: () => {
      const models = __MONACO.editor.getModels();
      const headers = models.find((model) => model.uri.path.endsWith('request-headers.json'));
      try {
        return JSON.parse(headers.getValue());
      } catch {
        return {};
      }
    },
  }`;
}
