// tfjs-core's modules take seedrandom's functions as named exports, which Node does not find in it.
import seedrandom from 'seedrandom';

export const { alea } = seedrandom;
