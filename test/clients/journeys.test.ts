import { useTestApp } from '../support/app.ts';
import { describeJourneys } from './journeys.ts';

const app = useTestApp();

describeJourneys(() => ({ ...app(), streamUrl: app().url }));
