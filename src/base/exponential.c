#include "exponential.h"

#include "bits.h"

#define LN_2 0.693147180559945309417

/* ln(1 + t) = 2 artanh(t / (2 + t)): for t up to 1 the series' argument is at most a third. */
static double log_of_mantissa(double t) {
    const double z = t / (2 + t);
    const double square = z * z;
    double sum = 0;
    for (int n = 27; n >= 1; n -= 2) {
        sum = sum * square + 1.0 / n;
    }
    return 2 * z * sum;
}

/* For the result to fit, the mean is at most about 2^63 / 44: -ln of 2^-63 is less than 44. */
uint64_t exponential_draw(uint64_t random, uint64_t mean) {
    if (mean <= 1) {
        return 0;
    }
    const uint64_t x = random | 1; /* u = x / 2^64 is between 0 and 1 */
    const unsigned exponent = floor_log2(x);
    const double mantissa = (double)(x - (UINT64_C(1) << exponent)) / (double)(UINT64_C(1) << exponent);
    const double minus_log = (64 - (double)exponent) * LN_2 - log_of_mantissa(mantissa);
    const double draw = minus_log * (double)mean;
    return draw < 1 ? 0 : draw < (double)(UINT64_MAX / 4) ? (uint64_t)draw : UINT64_MAX / 4;
}

/* 1 - exp(-y) for a y of up to 1/32. */
static double share_of_little(double y) {
    double sum = 1;
    for (int n = 9; n >= 2; n--) {
        sum = 1 - y / n * sum;
    }
    return y * sum;
}

/* With p = 1 - exp(-y), 1 - exp(-2y) = p (2 - p): nothing cancels out, however small y is. */
double exponential_share(uint64_t bytes, uint64_t mean) {
    if (mean <= 1 || bytes / mean >= 64) {
        return 1;
    }
    double y = (double)bytes / (double)mean;
    unsigned doublings = 0;
    while (y > 1.0 / 32) {
        y /= 2;
        doublings++;
    }
    double share = share_of_little(y);
    for (; doublings != 0; doublings--) {
        share *= 2 - share;
    }
    return share;
}

uint64_t exponential_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}
