import { engineCases } from './cases/engine-cases';

engineCases('typescript');
