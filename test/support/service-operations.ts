export const watchAgentJobs = `
  subscription ($after: Cursor) {
    agentJobReady(after: $after) { __typename cursor job { id ... on AgentJob { state } } }
  }`;

export const claimAgentJob = `
  mutation ($input: ClaimAgentJobInput!) {
    claimAgentJob(input: $input) { job { id state prompt } leasedUntil }
  }`;

export const reportProgress = `
  mutation ($input: ReportProgressInput!) { reportProgress(input: $input) { job { id state } } }`;

export const submitEvaluation = `
  mutation ($input: SubmitEvaluationInput!) {
    submitEvaluation(input: $input) {
      job { id state reason workInvoice { id paymentHash amountSats state } }
    }
  }`;

export const submitResult = `
  mutation ($input: SubmitResultInput!) { submitResult(input: $input) { job { id state result } } }`;

export const failJob = `
  mutation ($input: FailJobInput!) { failJob(input: $input) { job { id state reason } } }`;
