/** A preparing thread: it prepares or verifies one volume after the other. */

import { answerJobs } from '../store/threads';
import { prepareVolume, type VolumeJob, verifyVolume } from './one-volume';

answerJobs((job: VolumeJob) => (job.verify ? verifyVolume(job, job.verify) : prepareVolume(job)));
