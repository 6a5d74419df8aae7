package metainfo

// How a piece length is chosen.
const (
	maxBuiltPiece = 16 << 20
	aimPieces     = 1 << 11 // by the total size
	niceMaxPieces = 1 << 15 // not exceeded where larger pieces help
	padMaxPieces  = 1 << 17 // nor this to save padding: a .torrent of 7 MB
)

// ChoosePieceLength chooses a power of two from 16 KiB to 16 MiB for files of these lengths; their order does not
// matter. By total size it is the smallest that makes at most 2,048 pieces. Where the files would still make more than
// 32,768 pieces (v2 begins each file with a piece) it goes up as far as that helps. For a hybrid it then goes down until
// padding is at most a tenth of the total, as far as 131,072 pieces allow. The padding returned is the most that any
// order of the files needs (0 but for a hybrid); that of a plan, Info.Padding, is exact.
func ChoosePieceLength(lengths []int64, v Version) (pieceLength, padding int64) {
	var total int64
	for _, n := range lengths {
		if n < 0 || n > MaxPieces*maxBuiltPiece-total {
			return maxBuiltPiece, 0 // no share can be this large: PlanLayout will say so
		}
		total += n
	}
	pieceLength = max(leastPieceLength(lengths, total, v, niceMaxPieces), smallestFor(total, aimPieces))
	if v != Hybrid {
		return pieceLength, 0
	}
	least := leastPieceLength(lengths, total, v, padMaxPieces)
	padding = paddingFor(lengths, pieceLength)
	for padding > total/10 && pieceLength > least {
		pieceLength /= 2
		padding = paddingFor(lengths, pieceLength)
	}
	return pieceLength, padding
}

// smallestFor returns the smallest piece length that cuts total into at most n pieces, or the largest there is.
func smallestFor(total, n int64) int64 {
	length := int64(MinPieceLength)
	for length < maxBuiltPiece && ceilDiv(total, length) > n {
		length *= 2
	}
	return length
}

// leastPieceLength returns the smallest piece length of at most limit pieces. Where even the largest makes more, because
// there are so many files, only the total counts.
func leastPieceLength(lengths []int64, total int64, v Version, limit int64) int64 {
	least := smallestFor(total, limit)
	if v == V1 {
		return least
	}
	for length := least; length <= maxBuiltPiece; length *= 2 {
		pieces := int64(0)
		for _, n := range lengths {
			pieces += ceilDiv(n, length)
		}
		if pieces <= limit {
			return length
		}
	}
	return least
}

// paddingFor returns the most that pads between these files can sum up to: all but the smallest, because the last file
// needs none.
func paddingFor(lengths []int64, pieceLength int64) int64 {
	var sum int64
	least := pieceLength
	for _, n := range lengths {
		if n > 0 {
			pad := alignUp(n, pieceLength) - n
			sum, least = sum+pad, min(least, pad)
		}
	}
	return max(sum-least, 0)
}
