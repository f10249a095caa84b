/** A preparing thread: it prepares one volume after the other. */

import { answerJobs } from '../store/threads';
import { prepareVolume } from './one-volume';

answerJobs(prepareVolume);
