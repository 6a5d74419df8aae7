package groups

import (
	"errors"
	"fmt"
)

// What can go wrong, beside group.ErrTicket, group.ErrRights, group.ErrTickets and
// group.ErrFull, which stay as they are.
var (
	ErrNoGroup     = errors.New("there is no such group")
	ErrAmbiguous   = errors.New("more than one group is called so")
	ErrNoMember    = errors.New("the group has no such member")
	ErrOut         = errors.New("this node is no member of the group any more")
	ErrSelf        = errors.New("a node does not remove itself: it leaves")
	ErrArgument    = errors.New("a value is outside its bounds")
	ErrMany        = errors.New("this node is in as many groups as it can be")
	ErrUnreachable = errors.New("who invites cannot be reached at any address of the ticket")
	ErrAnswer      = errors.New("who invites gave a member list that is not that of the ticket")
	ErrKeep        = errors.New("the group cannot be kept on disk")
	ErrDamaged     = errors.New("the file of a group is damaged")
	ErrClosed      = errors.New("groups are closed")
)

// Damage is a file in the folder of the groups that cannot be used. The others can.
type Damage struct {
	Path string
	Why  error
}

// Error names the file and says what to do.
func (d *Damage) Error() string {
	return fmt.Sprintf("%s: %v (%v): bring it back from a copy, or move it away and join the group again with a new ticket", d.Path, ErrDamaged, d.Why)
}

// Unwrap makes every Damage an ErrDamaged.
func (d *Damage) Unwrap() []error { return []error{ErrDamaged, d.Why} }

// errWrong is what a peer did that no honest one does.
var errWrong = errors.New("what a peer sent is wrong")

// errStranger is the answer to who does not prove to be a member.
var errStranger = errors.New("not a member")

// errBusy is the answer to who asks too often.
var errBusy = errors.New("asked too often")
