package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Weibull is how long sessions last: Scale · E^(1/Shape) with E exponential. Measured file-sharing networks have shapes
// below 1: who has been there for long stays.
type Weibull struct {
	Shape float64
	Scale time.Duration
}

// KAD is the model of sessions in KAD: shape 0.5, mean 10,000 s (Steiner 2009, used by Heep 2010).
var KAD = Weibull{Shape: 0.5, Scale: 5000 * time.Second}

// Draw is the length of a session that begins.
func (w Weibull) Draw(rng *rand.Rand) time.Duration {
	return time.Duration(float64(w.Scale) * math.Pow(rng.ExpFloat64(), 1/w.Shape))
}

// Rest is what is left of a session that is found under way: of one drawn in proportion to its length, the part after a
// moment drawn evenly. 1/Shape is rounded to a whole number.
func (w Weibull) Rest(rng *rand.Rand) time.Duration {
	e := 0.0 // gamma distributed with shape 1 + 1/Shape
	for range 1 + int(math.Round(1/w.Shape)) {
		e += rng.ExpFloat64()
	}
	return time.Duration(float64(w.Scale) * math.Pow(e, 1/w.Shape) * rng.Float64())
}

// LogNormal is a delay: half of all are above the median; Sigma is the deviation of the logarithm.
type LogNormal struct {
	Median time.Duration
	Sigma  float64
}

// Draw is one delay.
func (l LogNormal) Draw(rng *rand.Rand) time.Duration {
	return time.Duration(float64(l.Median) * math.Exp(l.Sigma*rng.NormFloat64()))
}
