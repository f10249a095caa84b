import { executionCases } from './execution-cases';

executionCases('tslab');
