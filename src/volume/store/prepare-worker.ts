/** What a preparing thread runs: one volume after the other. */
import { prepareVolume } from './prepare-volume';
import { answerJobs } from './thread-loop';

answerJobs(prepareVolume);
