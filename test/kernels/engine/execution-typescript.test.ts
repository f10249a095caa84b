import { executionCases } from './execution-cases';

executionCases('typescript');
