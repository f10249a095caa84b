/** A thread that converts one series and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '../base/failure';
import type { ConversionJob, ConversionReply } from './convert';
import { convertSeries } from './dcm2niix';

const { series, folder } = workerData as ConversionJob;
const reply = (message: ConversionReply) => parentPort!.postMessage(message);
convertSeries(series, folder).then(
  (made) => reply({ made }),
  (error: unknown) => reply({ failed: failureOf(error) }),
);
